"""Keeping the durable jobs and the world in agreement: what the clock does every few seconds."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from redis.exceptions import RedisError

from sync import queueing, recovery
from sync.models import AttemptOutcome, Job, JobKind, JobState
from sync.recovery import BadEnd

logger = logging.getLogger(__name__)

SILENCE_SECONDS = 15.0
"""Five heartbeats missed: the attempt's process is gone, or stopped so hard that it must not go on."""

QUEUE_GRACE = timedelta(seconds=10)
"""How long a job may be queued before its absence from RQ is believed: pushes happen just after commit."""

PER_ROUND = 1_000


def recover_silent_jobs() -> int:
    """Queue again every job whose worker fell silent. Returns how many were found."""
    silent = list(Job.objects.silent_for(SILENCE_SECONDS).order_by("pk")[:PER_ROUND])
    for job in silent:
        recovery.recover(job, BadEnd(AttemptOutcome.VANISHED, f"Worker {job.worker} fell silent."))
    return len(silent)


def queue_due_retries() -> int:
    """Queue every job whose waiting time after a failure is over."""
    with transaction.atomic():
        due = Job.objects.filter(state=JobState.RETRYING, not_before__lte=Now())
        jobs = list(due.select_for_update(skip_locked=True).order_by("pk")[:PER_ROUND])
        Job.objects.filter(pk__in=[job.pk for job in jobs]).requeue(states=(JobState.RETRYING,))
        queueing.enqueue_after_commit(jobs)
    return len(jobs)


def push_lost_jobs() -> int:
    """Push every queued job that RQ does not have: Redis was emptied, or a worker died between taking and claiming."""
    cutoff = timezone.now() - QUEUE_GRACE
    waiting = Job.objects.filter(state=JobState.QUEUED, enqueued_at__lt=cutoff).order_by("pk")
    queued = list(waiting.values_list("pk", "kind")[:PER_ROUND])
    if not queued:
        return 0
    try:
        known = queueing.waiting_or_started()
        lost = [(number, JobKind(kind)) for number, kind in queued if number not in known]
        queueing.push_now(lost)
    except RedisError as error:
        logger.warning("redis cannot be reached; %d queued jobs wait for it: %s", len(queued), error)
        return 0
    return len(lost)


def reconcile() -> None:
    """One round of all of it. Each step is safe to repeat and safe beside a second clock."""
    for step in (recover_silent_jobs, queue_due_retries, push_lost_jobs):
        if count := step():
            logger.info("%s: %d", step.__name__, count)
