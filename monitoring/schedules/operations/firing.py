"""The clock's part: each due time becomes one row, committed before anything is queued; downtimes are caught up.

The unique key (scheduled job, due time) decides. Two clocks, a crash between commit and queue, or a watermark set back
by hand still give one run: what is inserted again is refused by the database and not queued.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.db import connection, transaction

from monitoring.schedules import carrying
from monitoring.schedules.catchup import ON_TIME, Decision, Fate, plan
from monitoring.schedules.models import STATE_OF_FATE, Run, RunState, ScheduledJob, Trigger
from monitoring.schedules.operations.admission import admit
from monitoring.schedules.operations.finding import Found, say_found
from monitoring.schedules.pings import Trouble
from opsconsole.due import next_due
from opsconsole.inserting import insert_new

logger = logging.getLogger(__name__)

PER_TRANSACTION = 500

TRIGGER_OF_FATE = {Fate.RECOVERED: Trigger.RECOVERY}
WHY = {
    Fate.RECOVERED: "Due while {cause}; critical, so it runs now.",
    Fate.COALESCED: "Due while {cause}; one later run stands for it.",
    Fate.SKIPPED: "Due while {cause}; its catch-up policy leaves it out.",
    Fate.MISSED: "Due while {cause}; not critical, so it is not run again by itself.",
    Fate.TOO_OLD: "Due while {cause}; older than its recovery window.",
}
SAID = {
    Fate.RECOVERED: "runs now",
    Fate.COALESCED: "a later run stands for it",
    Fate.SKIPPED: "left out by its policy",
    Fate.MISSED: "missed",
    Fate.TOO_OLD: "missed: older than its recovery window",
}
"""What the log says of a late due time."""

MOVE_ON = """
UPDATE schedules_scheduledjob job SET watermark = moved.watermark, next_due = moved.next_due
FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[]) moved (id, watermark, next_due) WHERE job.id = moved.id
"""
CLOCK_WAS_DOWN = "no clock was running"


def fire_due(now: datetime, cause: str = CLOCK_WAS_DOWN) -> int:
    """Decide every due time up to `now`, and queue what is to run. Returns how many runs were queued.

    One statement where nothing is due, seven for each five hundred scheduled jobs that are. `cause` says why late ones
    are late.
    """
    fired, is_due = 0, ScheduledJob.objects.filter(enabled=True, next_due__lte=now).order_by("next_due", "pk")
    while _anything_due(now):
        with transaction.atomic():
            due = list(is_due.select_for_update(skip_locked=True)[:PER_TRANSACTION])
            fired += _fire(due, now, cause)
        if len(due) < PER_TRANSACTION:
            break
    return fired


def _anything_due(now: datetime) -> bool:
    """Asked twice a second, all day long."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM schedules_scheduledjob WHERE enabled AND next_due <= %s)", [now])
        return bool(cursor.fetchone()[0])


def _fire(jobs: Sequence[ScheduledJob], now: datetime, cause: str) -> int:
    runs: list[Run] = []
    found: list[Found] = []
    for job in jobs:
        schedule = job.schedule
        made = plan(schedule, job.watermark, now, job.policy)
        job.watermark = made.watermark
        job.next_due = next_due(schedule, made.watermark)
        runs += [_run(job, decision, cause, now) for decision in made.decisions]
        found += _found(job, made.decisions)
    transaction.on_commit(lambda: say_found(found, now))
    _move_on(jobs)
    return write_runs(runs)


def _move_on(jobs: Sequence[ScheduledJob]) -> None:
    """Save watermark and next due time. In one statement of fixed length: Django's own grows with the rows, and takes
    most of the time of a firing."""
    columns: list[Any] = [[job.pk for job in jobs], [job.watermark for job in jobs], [job.next_due for job in jobs]]
    with connection.cursor() as cursor:
        cursor.execute(MOVE_ON, columns)


def _found(job: ScheduledJob, decisions: Sequence[Decision]) -> list[Found]:
    """What is late, the fates apart."""
    late = [one for one in decisions if one.fate in SAID]
    return [
        Found(job.name, next(one.first for one in late if one.fate is fate), said, count)
        for fate, said in SAID.items()
        if (count := sum(one.count for one in late if one.fate is fate))
    ]


def _run(job: ScheduledJob, decision: Decision, cause: str, now: datetime) -> Run:
    missed = STATE_OF_FATE[decision.fate] is RunState.MISSED
    return Run(
        scheduled_job=job,
        due_at=decision.first,
        due_until=decision.last if decision.count > 1 else None,
        count=decision.count,
        trigger=TRIGGER_OF_FATE.get(decision.fate, Trigger.DUE),
        state=STATE_OF_FATE[decision.fate],
        cause=WHY[decision.fate].format(cause=cause) if decision.fate in WHY else "",
        trace_id=uuid4(),
        start_by=start_by(job, decision.first, now) if decision.fate.runs else None,
        trouble=Trouble.MISSING_START.value if missed else "",
        trouble_since=decision.first if missed else None,
    )


def start_by(job: ScheduledJob, due_at: datetime, now: datetime) -> datetime:
    """When a run that is queued now is to have begun."""
    return max(due_at, now - ON_TIME) + job.grace


def write_runs(runs: Sequence[Run]) -> int:
    """Insert the runs whose due times have no row yet, and queue those that may begin. Inside a transaction.

    Returns how many were queued.
    """
    admitted = admit([run for run in insert_new(runs) if run.state == RunState.QUEUED])
    carrying.enqueue_after_commit(admitted)
    return len(admitted)
