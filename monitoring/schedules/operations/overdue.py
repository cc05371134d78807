"""Runs that have not begun, or not ended, by their deadline: noticed by the clock, whatever the job itself does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F

from monitoring.pipeline.workers import living_workers
from monitoring.schedules import carrying
from monitoring.schedules.lateness import Awaited, judge, why
from monitoring.schedules.models import NOT_BEGUN, Run, RunEvent, RunState, Trigger
from monitoring.schedules.operations.finding import Found, say_found
from monitoring.schedules.pings import Trouble
from monitoring.schedules.signals import run_missed

PER_ROUND = 1_000
BY_SCHEDULE = (Trigger.DUE, Trigger.RECOVERY)
PUSHED_AGAIN = "The queue had it no more, so it was queued again."


def notice_overdue(now: datetime) -> int:
    """Say of every run whose deadline has passed what is wrong with it. Returns how many. Eight statements at most for
    a thousand of either kind."""
    return notice_missing_starts(now) + notice_missing_ends(now)


def notice_missing_starts(now: datetime) -> int:
    """Runs that have not begun by their deadline are late, or missed. Returns how many."""
    with transaction.atomic():
        overdue = Run.objects.filter(state__in=NOT_BEGUN, start_by__lte=now).select_related("scheduled_job")
        runs = list(overdue.select_for_update(of=("self",), skip_locked=True).order_by("start_by", "pk")[:PER_ROUND])
        if not runs:
            return 0
        living = {queue: living_workers(queue, now) for queue in set(map(carrying.queue_of, runs))}
        for run in runs:
            _settle(run, living, now)
        Run.objects.bulk_update(runs, ["state", "cause", "start_by", "trouble", "trouble_since", "ended_at"])
        RunEvent.objects.bulk_create(RunEvent(run=run, problem=True, message=run.cause) for run in runs)
        _announce_missed(runs)
        found = [Found(run.scheduled_job.name, run.due_at, "missed" if run.ended_at else "late") for run in runs]
        transaction.on_commit(lambda: say_found(found, now))
    return len(runs)


def _settle(run: Run, living: Mapping[str, int], now: datetime) -> None:
    """Saves nothing. `living`: how many workers serve each queue."""
    assert run.start_by is not None
    job, waits_for = run.scheduled_job, run.cause if run.state == RunState.WAITING else ""
    said_late = run.trouble == Trouble.MISSING_START.value
    verdict = judge(
        Awaited(run.due_at, run.start_by, job.critical, run.trigger not in BY_SCHEDULE, job.recovery_window, said_late)
    )
    if not said_late:
        queue = carrying.queue_of(run)
        reason = why(waits_for, queue=queue, living_workers=living[queue], pushed_again=run.cause == PUSHED_AGAIN)
        run.cause = f"Not begun by {run.start_by:%Y-%m-%d %H:%M:%S} UTC. {reason}"
        run.trouble, run.trouble_since = Trouble.MISSING_START.value, run.start_by
    run.start_by = verdict.until
    if verdict.missed:
        run.state, run.ended_at = RunState.MISSED, now


def _announce_missed(runs: Sequence[Run]) -> None:
    numbers = [run.pk for run in runs]

    def tell() -> None:
        for number in numbers:
            run_missed.send(sender=Run, run_id=number)

    transaction.on_commit(tell)


def notice_missing_ends(now: datetime) -> int:
    """Runs under way past their time limit, which was to end them: their end is missing. Returns how many."""
    overdue = Run.objects.filter(state=RunState.RUNNING, trouble="", end_by__lte=now)
    return overdue.update(trouble=Trouble.MISSING_END.value, trouble_since=F("end_by"))


def move_deadlines(since: datetime, gap: timedelta) -> int:
    """This console was down for `gap` from `since` on: deadlines inside move by it. Returns how many."""
    inside = (since, since + gap)
    moved = Run.objects.filter(state__in=NOT_BEGUN, start_by__range=inside).update(start_by=F("start_by") + gap)
    return moved + Run.objects.filter(state=RunState.RUNNING, end_by__range=inside).update(end_by=F("end_by") + gap)
