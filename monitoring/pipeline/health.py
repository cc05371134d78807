"""What `/healthz` asks of queues and workers."""

from __future__ import annotations

from datetime import datetime

import django_rq
from django.conf import settings

from monitoring.pipeline.workers import living_workers
from opsconsole.health import health_check
from opsconsole.pauses import paused_queues


@health_check("workers")
def queues_are_served(now: datetime) -> bool:
    """Whether a living worker serves every queue in which something waits. Paused ones are somebody's wish. Raises
    RedisError."""
    queues = [django_rq.get_queue(name) for name in settings.QUEUES]
    connection = queues[0].connection
    with connection.pipeline(transaction=False) as pipeline:
        for queue in queues:
            pipeline.llen(queue.key)
        depths = pipeline.execute()
    waiting = {queue.name for queue, depth in zip(queues, depths, strict=True) if depth}
    if not waiting:
        return True
    return all(living_workers(name, now) for name in waiting - paused_queues(connection))
