"""Restarting workers: a warm shutdown. Jobs end at their next checkpoint; the supervisor starts the workers anew."""

from __future__ import annotations

import json
from collections.abc import Sequence

import django_rq
from django.db import transaction
from redis.exceptions import RedisError
from rq.command import PUBSUB_CHANNEL_TEMPLATE

from monitoring.pipeline.operations.queues import require_queue
from opsconsole import audit
from opsconsole.errors import UnavailableError, UsageError

SHUTDOWN = json.dumps({"command": "shutdown"})


def restart(worker: str, actor: audit.Actor, reason: str) -> None:
    """Ask one worker to end. Audited. Raises UsageError where it does not listen, UnavailableError without Redis."""
    with transaction.atomic():
        audit.record(actor, "worker.restarted", f"worker:{worker}", reason=reason)
        if not _tell([worker]):
            raise UsageError(
                f"Worker {worker} does not listen: its process is gone. Its supervisor should start another."
            )


def restart_all(queue: str, workers: Sequence[str], actor: audit.Actor, reason: str) -> int:
    """Ask the given workers of a queue to end. Returns how many heard it. Audited. Raises as `restart`."""
    require_queue(queue)
    with transaction.atomic():
        heard = _tell(workers)
        if not heard:
            raise UsageError(f"No worker of the queue {queue} listens; nothing was done.")
        audit.record(
            actor, "queue.workers_restarted", f"queue:{queue}", reason=reason, workers=list(workers), heard=heard
        )
    return heard


def _tell(workers: Sequence[str]) -> int:
    """By RQ's channel of each worker, which it hears whether RQ has it registered or not. Returns how many listen."""
    try:
        connection = django_rq.get_connection("default")
        return sum(int(connection.publish(PUBSUB_CHANNEL_TEMPLATE % worker, SHUTDOWN)) for worker in workers)
    except RedisError as error:
        raise UnavailableError(f"Redis cannot be reached, so no worker was told: {error}.") from error
