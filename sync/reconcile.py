"""Keeping the durable jobs and the world in agreement: what the clock does every few seconds."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from redis.exceptions import RedisError

from opsconsole.clock.asking import Questions
from sync import queueing, recovery
from sync.models import AttemptOutcome, Job, JobKind, JobRange, JobState
from sync.operations.ladder import climb_stuck_jobs
from sync.recovery import BadEnd

logger = logging.getLogger(__name__)

SILENCE_SECONDS = 15.0
"""Five heartbeats missed: the attempt's process is gone, or stopped so hard that it must not go on."""

QUEUE_GRACE = timedelta(seconds=10)
"""How long a job may be queued before its absence from RQ is believed: pushes happen just after commit."""

PER_ROUND = 1_000


def recover_silent_jobs() -> int:
    """Queue again every job whose worker fell silent. Returns how many were. What was to end anyway is left to
    `end_stuck_jobs`."""
    return sum(_recover_silent(job) for job in list(_silent_jobs().order_by("pk")[:PER_ROUND]))


def _silent_jobs() -> QuerySet[Job]:
    return Job.objects.silent_for(SILENCE_SECONDS).exclude(state=JobState.CANCELLING)


def _recover_silent(job: Job) -> bool:
    end = BadEnd(AttemptOutcome.VANISHED, f"Worker {job.worker} fell silent.")
    return recovery.recover_silent(job, end, seconds=SILENCE_SECONDS)


def recover_silent_ranges(job: Job | None = None) -> int:
    """Let another worker go on with every range, of one job or of all, whose worker fell silent. Returns how many."""
    ranges = JobRange.objects.silent_for(SILENCE_SECONDS).select_related("job").order_by("pk")
    silent = list((ranges.filter(job=job) if job else ranges)[:PER_ROUND])
    for part in silent:
        recovery.recover_range(part, BadEnd(AttemptOutcome.VANISHED, f"Worker {part.worker} fell silent."))
    return len(silent)


ENDING = Questions(jobs=lambda now: Job.objects.filter(state=JobState.CANCELLING))
"""Whether a job was asked to end and has not: then `end_stuck_jobs` is wanted."""


def end_stuck_jobs() -> int:
    """Climb the ladder for every job that was asked to end and does not. Returns for how many something was done.

    A duty of its own: it asks source and index, which may be what is slow.
    """
    return climb_stuck_jobs(timedelta(seconds=SILENCE_SECONDS))


def queue_due_retries() -> int:
    """Queue every job whose waiting time after a failure is over."""
    with transaction.atomic():
        jobs = list(_due_retries().select_for_update(skip_locked=True).order_by("pk")[:PER_ROUND])
        Job.objects.filter(pk__in=[job.pk for job in jobs]).requeue(states=(JobState.RETRYING,))
        queueing.enqueue_after_commit(jobs)
    return len(jobs)


def _due_retries() -> QuerySet[Job]:
    return Job.objects.filter(state=JobState.RETRYING, not_before__lte=Now())


def push_lost_jobs() -> int:
    """Push every queued job that waits in no queue: Redis was emptied, or a worker died between taking and claiming.

    A worker may be about to claim it: a second message costs one claim that is lost.
    """
    waiting = _queued_for_long(timezone.now()).order_by("pk")
    queued = list(waiting.values_list("pk", "kind")[:PER_ROUND])
    if not queued:
        return 0
    try:
        waiting_there = queueing.waiting()
        lost = [(number, JobKind(kind)) for number, kind in queued if number not in waiting_there]
        queueing.push_now(lost)
    except RedisError as error:
        logger.warning("redis cannot be reached; %d queued jobs wait for it: %s", len(queued), error)
        return 0
    return len(lost)


def _queued_for_long(now: datetime) -> QuerySet[Job]:
    return Job.objects.filter(state=JobState.QUEUED, enqueued_at__lt=now - QUEUE_GRACE)


STEPS = {
    "silent_jobs": recover_silent_jobs,
    "silent_ranges": recover_silent_ranges,
    "due_retries": queue_due_retries,
    "queued_for_long": push_lost_jobs,
}
TO_DO = Questions(
    silent_jobs=lambda now: _silent_jobs(),
    silent_ranges=lambda now: JobRange.objects.silent_for(SILENCE_SECONDS),
    due_retries=lambda now: _due_retries(),
    queued_for_long=_queued_for_long,
)


def reconcile() -> None:
    """One round of all of it. Each step is safe to repeat and safe beside a second clock. One statement where there is
    nothing to do."""
    to_do = TO_DO(timezone.now())
    for name, step in STEPS.items():
        if name in to_do and (count := step()):
            logger.info("%s: %d", step.__name__, count)
