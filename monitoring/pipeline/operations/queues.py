"""Pausing a queue: workers take nothing from it; what is running goes on, and what is queued stays."""

from __future__ import annotations

import logging

import django_rq
from django.conf import settings
from django.db import transaction
from redis.exceptions import RedisError

from monitoring.pipeline.models import PausedQueue
from opsconsole import audit
from opsconsole.errors import UnavailableError, UsageError
from opsconsole.pauses import write_paused

logger = logging.getLogger(__name__)


def pause(queue: str, actor: audit.Actor, reason: str) -> None:
    """From now on no worker takes a message of `queue`. Audited. Raises UsageError, UnavailableError without Redis."""
    require_queue(queue)
    with transaction.atomic():
        _, made = PausedQueue.objects.get_or_create(queue=queue, defaults={"reason": reason, "paused_by": actor.name})
        if not made:
            raise UsageError(f"The queue {queue} is paused already.")
        audit.record(actor, "queue.paused", f"queue:{queue}", reason=reason)
        _tell_workers()


def resume(queue: str, actor: audit.Actor, reason: str) -> None:
    """Workers take messages of `queue` again. Audited. Raises UsageError, UnavailableError without Redis."""
    require_queue(queue)
    with transaction.atomic():
        if not PausedQueue.objects.filter(queue=queue).delete()[0]:
            raise UsageError(f"The queue {queue} is not paused.")
        audit.record(actor, "queue.resumed", f"queue:{queue}", reason=reason)
        _tell_workers()


def require_queue(queue: str) -> None:
    if queue not in settings.QUEUES:
        raise UsageError(f"There is no queue {queue!r}; there are {', '.join(settings.QUEUES)}.")


def _tell_workers() -> None:
    """Inside the transaction: an act that no worker hears of did not happen."""
    try:
        write_paused(django_rq.get_connection("default"), PausedQueue.objects.values_list("queue", flat=True))
    except RedisError as error:
        raise UnavailableError(f"Redis cannot be reached, so nothing was changed: {error}.") from error


def tell_workers_again() -> None:
    """The clock's duty: Redis may have been emptied, or an act have ended between the two stores."""
    try:
        write_paused(django_rq.get_connection("default"), list(PausedQueue.objects.values_list("queue", flat=True)))
    except RedisError as error:
        logger.warning("workers cannot be told which queues are paused: %s", error)
