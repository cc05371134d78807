"""Scheduled jobs and monitors after a restore.

The console's own operations may be done twice, so critical ones are caught up by their policy as after any downtime.
Everything else may have run in the lost time, and a call of another system may do harm when it is made twice: that is
unknown, and for a person to say. Pings of the lost time are gone, so nobody is blamed for their absence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from uuid import uuid4

from monitoring.schedules.catchup import Policy, plan
from monitoring.schedules.models import STATE_FIELDS, Action, Monitor, Run, RunState, ScheduledJob, Trigger
from monitoring.schedules.operations import running
from monitoring.schedules.pings import NO_RUNS, deadline
from opsconsole.due import next_due
from opsconsole.estate.model import CatchUp
from opsconsole.inserting import insert_new
from opsconsole.restoring import FENCES, Lost, on_restore
from opsconsole.words import counted, number

PER_SLICE = 500


@on_restore
def settle_runs(lost: Lost, now: datetime) -> list[str]:
    cause = f"The console's database was restored, and nothing is known of {lost}: it may have run."
    calls = Run.objects.filter(scheduled_job__action=Action.HTTP).become_unknown(cause)
    again = list(Run.objects.filter(state=RunState.RUNNING).select_related("scheduled_job").order_by("pk"))
    for run in again:
        running.give_back(run, "The console's database was restored: it is started again.")
    Run.objects.active().outdate(FENCES)
    due = sum(_become_unknown(job, lost, cause) for job in ScheduledJob.objects.filter(enabled=True).order_by("pk"))
    return [
        f"Calls of other systems under way: {number(calls)}; unknown, for somebody to run again or to ignore.",
        f"Runs due in the lost time, which may have run: {number(due)}; unknown, too (Missed runs).",
        f"Running operations of the console's own: {number(len(again))}; started again.",
    ]


def _become_unknown(job: ScheduledJob, lost: Lost, cause: str) -> int:
    """Due times of the lost time as runs of which nothing is known. Critical operations are left to the clock."""
    if job.critical and job.action == Action.OPERATION:
        return 0
    schedule = job.schedule
    made = plan(schedule, job.watermark, lost.until, Policy(False, CatchUp.SKIP, job.recovery_window))
    job.watermark = made.watermark
    job.next_due = next_due(schedule, made.watermark)
    job.save(update_fields=["watermark", "next_due"])
    runs = [
        Run(
            scheduled_job=job,
            due_at=one.first,
            due_until=one.last if one.count > 1 else None,
            count=one.count,
            trigger=Trigger.DUE,
            state=RunState.UNKNOWN,
            cause=cause,
            trace_id=uuid4(),
        )
        for one in made.decisions
    ]
    return len(insert_new(runs))


@on_restore
def expect_pings_anew(lost: Lost, now: datetime) -> list[str]:
    """As if each had pinged at the end of the lost time: expected is what comes after it."""
    moved = 0
    for monitors in _slices(lost):
        for monitor in monitors:
            _expect_anew(monitor, lost)
        Monitor.objects.bulk_update(monitors, STATE_FIELDS)
        moved += len(monitors)
    return [
        f"{counted(moved, 'monitor')} expected to ping again from {lost.until:%H:%M} UTC on; pings before are lost."
    ]


def _slices(lost: Lost) -> Iterator[list[Monitor]]:
    after = 0
    while True:
        watched = Monitor.objects.filter(pk__gt=after, deadline__isnull=False).order_by("pk")
        monitors = list(watched.select_for_update()[:PER_SLICE])
        if not monitors:
            return
        yield monitors
        after = monitors[-1].pk


def _expect_anew(monitor: Monitor, lost: Lost) -> None:
    """Open runs may have ended. What is expected after the lost time already stays as it is."""
    rules = monitor.rules
    state = replace(monitor.state, runs=NO_RUNS)
    ends = deadline(state, rules)
    after = next_due(rules.schedule, lost.until) if rules.schedule else None
    if ends is not None and after is not None:
        monitor.moved_by = max(after + rules.grace - ends.at, monitor.moved_by)
    monitor.state = state
    monitor.deadline = ends.at + monitor.moved_by if ends else None
