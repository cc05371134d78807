"""Keeping the durable jobs and the world in agreement: what the clock does every few seconds."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from redis.exceptions import RedisError

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
    silent = list(Job.objects.silent_for(SILENCE_SECONDS).exclude(state=JobState.CANCELLING).order_by("pk")[:PER_ROUND])
    return sum(_recover_silent(job) for job in silent)


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


def some_are_ending() -> bool:
    """Whether a job was asked to end and has not: then `end_stuck_jobs` is wanted."""
    return Job.objects.filter(state=JobState.CANCELLING).exists()


def end_stuck_jobs() -> int:
    """Climb the ladder for every job that was asked to end and does not. Returns for how many something was done.

    A duty of its own: it asks source and index, which may be what is slow.
    """
    return climb_stuck_jobs(timedelta(seconds=SILENCE_SECONDS))


def queue_due_retries() -> int:
    """Queue every job whose waiting time after a failure is over."""
    with transaction.atomic():
        due = Job.objects.filter(state=JobState.RETRYING, not_before__lte=Now())
        jobs = list(due.select_for_update(skip_locked=True).order_by("pk")[:PER_ROUND])
        Job.objects.filter(pk__in=[job.pk for job in jobs]).requeue(states=(JobState.RETRYING,))
        queueing.enqueue_after_commit(jobs)
    return len(jobs)


def push_lost_jobs() -> int:
    """Push every queued job that waits in no queue: Redis was emptied, or a worker died between taking and claiming.

    A worker may be about to claim it: a second message costs one claim that is lost.
    """
    cutoff = timezone.now() - QUEUE_GRACE
    waiting = Job.objects.filter(state=JobState.QUEUED, enqueued_at__lt=cutoff).order_by("pk")
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


def reconcile() -> None:
    """One round of all of it. Each step is safe to repeat and safe beside a second clock."""
    for step in (recover_silent_jobs, recover_silent_ranges, queue_due_retries, push_lost_jobs):
        if count := step():
            logger.info("%s: %d", step.__name__, count)
