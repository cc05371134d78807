"""Saving a scheduled job's definition: checked, and never firing what was due before the change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from monitoring.schedules.actions import require_usable
from monitoring.schedules.models import Action, ScheduledJob
from opsconsole.due import BadScheduleError, next_due, parse_cron, parse_interval
from opsconsole.errors import UsageError
from opsconsole.estate.schedule_reader import in_cycles

DEFINITION = (
    *("description", "owner", "channels", "action", "operation", "parameters", "cron", "zone", "interval"),
    *("critical", "catch_up", "recovery_window", "grace", "time_limit", "retry_delays", "overlap", "after"),
)
"""The fields that say what a job is, in the estate file or the form."""

SCHEDULE = ("cron", "zone", "interval")


def require_possible(job: ScheduledJob) -> None:
    """Raises UsageError where the schedule or what the job does cannot be used. What it waits for is another matter."""
    try:
        if job.interval is not None:
            parse_interval(job.interval, job.anchor)
        else:
            job.cron = parse_cron(job.cron, job.zone).expression
    except BadScheduleError as error:
        raise UsageError(str(error)) from error
    require_usable(Action(job.action), job.operation, job.parameters)


def require_chain(name: str, after: Iterable[str], known: Mapping[str, Iterable[str]]) -> None:
    """Raises UsageError where `after` has an unknown job or closes a circle. `known` has what each job waits for."""
    after = tuple(after)
    if unknown := [one for one in after if one not in known and one != name]:
        raise UsageError(f"There is no scheduled job {unknown[0]!r} to wait for.")
    graph = {one: tuple(before) for one, before in known.items()} | {name: after}
    if way := in_cycles(graph).get(name):
        raise UsageError(f"It would wait for itself for ever: {' → '.join(way)}.")


def change(job: ScheduledJob, values: Mapping[str, object], now: datetime, *, new: bool = False) -> list[str]:
    """Give the job these values of DEFINITION; returns the names of those that changed. Saves nothing.

    A changed schedule begins anew: nothing that it would have had due before `now` is fired.
    """
    changed = [name for name in DEFINITION if name in values and getattr(job, name) != values[name]]
    for name in changed:
        setattr(job, name, values[name])
    if new or set(changed) & set(SCHEDULE):
        job.anchor = now
        begin_anew(job, now)
    return changed


def begin_anew(job: ScheduledJob, now: datetime) -> None:
    """Nothing due up to `now` comes any more. Saves nothing. Raises UsageError for a schedule that cannot be used."""
    require_possible(job)
    job.watermark = now
    job.next_due = next_due(job.schedule, now)


def disable(row: ScheduledJob, now: datetime, by: str, reason: str) -> None:
    """Saves nothing."""
    row.enabled, row.disabled_by, row.disabled_at, row.disabled_reason = False, by, now, reason


def enable(row: ScheduledJob, now: datetime) -> None:
    """What fell due meanwhile does not come any more. Saves nothing."""
    row.enabled, row.disabled_by, row.disabled_at, row.disabled_reason = True, "", None, ""
    begin_anew(row, now)
