"""Keeping runs and the world in agreement: what the clock does every few seconds."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from redis.exceptions import RedisError

from monitoring.schedules import carrying
from monitoring.schedules.models import Run, RunState
from monitoring.schedules.operations import running
from monitoring.schedules.operations.admission import release_waiting
from monitoring.schedules.operations.looking import was_own_downtime
from monitoring.schedules.operations.overdue import PUSHED_AGAIN
from opsconsole.clock.asking import Questions
from sync.reconcile import QUEUE_GRACE, SILENCE_SECONDS

logger = logging.getLogger(__name__)

PER_ROUND = 1_000
UNDER_WAY = Questions(runs=lambda now: Run.objects.active())


def recover_silent_runs() -> int:
    """Start again every run whose worker fell silent. Returns how many were found."""
    silent = Run.objects.silent_for(SILENCE_SECONDS).select_related("scheduled_job").order_by("pk")[:PER_ROUND]
    found = list(silent)
    now = timezone.now()
    for run in found:
        alive_until = (run.heartbeat_at or now) + timedelta(seconds=SILENCE_SECONDS)
        running.recover(run, f"Worker {run.worker} fell silent.", own_downtime=was_own_downtime(alive_until, now))
    return len(found)


def queue_due_retries() -> int:
    """Queue every run whose waiting time after a failure is over."""
    with transaction.atomic():
        due = Run.objects.filter(state=RunState.RETRYING, not_before__lte=Now()).select_related("scheduled_job")
        runs = list(due.select_for_update(of=("self",), skip_locked=True).order_by("pk")[:PER_ROUND])
        Run.objects.filter(pk__in=[run.pk for run in runs]).update(
            state=RunState.QUEUED, not_before=None, enqueued_at=Now()
        )
        carrying.enqueue_after_commit(runs)
    return len(runs)


def push_lost_runs() -> int:
    """Push every queued run that RQ does not have: Redis was emptied, or a worker died between taking and claiming."""
    waiting = Run.objects.filter(state=RunState.QUEUED, enqueued_at__lt=timezone.now() - QUEUE_GRACE)
    queued = list(waiting.select_related("scheduled_job").order_by("pk")[:PER_ROUND])
    if not queued:
        return 0
    try:
        known = carrying.waiting()
        lost = [run for run in queued if run.pk not in known]
        Run.objects.filter(pk__in=[run.pk for run in lost], cause="").update(cause=PUSHED_AGAIN)
        carrying.push_now([carrying.message_of(run) for run in lost])
    except RedisError as error:
        logger.warning("redis cannot be reached; %d queued runs wait for it: %s", len(queued), error)
        return 0
    return len(lost)


def reconcile() -> None:
    """One round of all of it. Each step is safe to repeat and safe beside a second clock. One statement where no run is
    under way."""
    if not UNDER_WAY.any():
        return
    for step in (recover_silent_runs, queue_due_retries, push_lost_runs):
        if count := step():
            logger.info("%s: %d", step.__name__, count)
    with transaction.atomic():
        release_waiting()
