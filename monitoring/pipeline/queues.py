"""How the queues stand in Redis now, and whether that is too much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import django_rq
from django.conf import settings
from django.db.models import TextChoices
from redis.exceptions import RedisError
from rq.job import Job as RqJob
from rq.utils import utcparse

from opsconsole import words
from opsconsole.errors import UnavailableError
from opsconsole.estate.model import QueueLimits
from opsconsole.takes import TAKEN_KEY
from opsconsole.tones import Tone


class QueueState(TextChoices):
    EMPTY = "empty", "Empty"
    MOVING = "moving", "Waiting, within limits"
    NEED = "need", "High need"
    PAUSED = "paused", "Paused"

    @property
    def tone(self) -> Tone:
        return _TONES[self]


_TONES = {
    QueueState.EMPTY: Tone.FINE,
    QueueState.MOVING: Tone.WORKING,
    QueueState.NEED: Tone.PROBLEM,
    QueueState.PAUSED: Tone.WAITING,
}


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """One queue as Redis has it. `oldest` is how long the next message has waited, in seconds; None where none waits.
    `taken` counts messages ever taken from it, as far as Redis remembers."""

    name: str
    depth: int
    oldest: float | None
    failed: int
    scheduled: int
    started: int
    taken: int


def read_queues(now: datetime) -> list[QueueFigures]:
    """All queues, in two round trips. Registries are counted as they are: RQ's own counting cleans them up, which runs
    callbacks in whatever process it is called. Raises UnavailableError."""
    try:
        return _read(now)
    except RedisError as error:
        raise UnavailableError(f"Redis cannot be reached: {error}.") from error


def _read(now: datetime) -> list[QueueFigures]:
    queues = [django_rq.get_queue(name) for name in settings.QUEUES]
    connection = queues[0].connection
    with connection.pipeline(transaction=False) as pipeline:
        for queue in queues:
            pipeline.llen(queue.key)
            pipeline.lindex(queue.key, 0)
            pipeline.zcard(queue.failed_job_registry.key)
            pipeline.zcard(queue.scheduled_job_registry.key)
            pipeline.zcard(queue.started_job_registry.key)
        pipeline.hgetall(TAKEN_KEY)
        *counts, taken = pipeline.execute()
    groups = [counts[start : start + 5] for start in range(0, len(counts), 5)]
    with connection.pipeline(transaction=False) as pipeline:
        for group in groups:
            pipeline.hget(RqJob.key_for(group[1].decode() if group[1] else ""), "enqueued_at")
        enqueued = pipeline.execute()
    return [
        QueueFigures(
            name=queue.name,
            depth=depth,
            oldest=_age(since, now),
            failed=failed,
            scheduled=scheduled,
            started=started,
            taken=int(taken.get(queue.name.encode(), 0)),
        )
        for queue, (depth, _, failed, scheduled, started), since in zip(queues, groups, enqueued, strict=True)
    ]


def _age(enqueued: bytes | None, now: datetime) -> float | None:
    if not enqueued:
        return None
    moment = utcparse(enqueued.decode())
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max((now - moment).total_seconds(), 0.0)


def state_of(depth: int, oldest: float | None, limits: QueueLimits, *, paused: bool) -> QueueState:
    """How a queue stands. Pure."""
    if paused:
        return QueueState.PAUSED
    if not depth:
        return QueueState.EMPTY
    return QueueState.NEED if needs(depth, oldest, limits) else QueueState.MOVING


def needs(depth: int, oldest: float | None, limits: QueueLimits) -> list[str]:
    """Which limits a queue is above, in words; none where it is within. Pure."""
    found = []
    if depth > limits.depth:
        found.append(f"{words.counted(depth, 'message')} waiting, the limit is {limits.depth:,}")
    if oldest is not None and oldest > limits.age:
        found.append(f"the oldest waits for {words.duration(oldest)}, the limit is {words.duration(limits.age)}")
    return found


@dataclass(frozen=True, slots=True)
class Flow:
    """Messages a minute into a queue and out of it; None where it is not known."""

    came: float | None
    went: float | None


def flow(before: Mapping[str, Any] | None, depth: int, taken: int, seconds: float) -> Flow:
    """From two samples: what was taken was counted, what came is the change of depth plus that. Pure.

    A count that is smaller than before was lost with Redis, so nothing is known of the time between.
    """
    if not before or seconds <= 0 or taken < before.get("taken", 0):
        return Flow(None, None)
    went = taken - before["taken"]
    came = max(depth - before["depth"] + went, 0)
    return Flow(round(came * 60 / seconds, 1), round(went * 60 / seconds, 1))
