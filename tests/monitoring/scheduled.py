"""Scheduled jobs made by hand, for tests of what becomes of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from monitoring.schedules.actions import Log, operation
from monitoring.schedules.models import Action, Run, ScheduledJob
from opsconsole.due import next_due
from opsconsole.errors import UnavailableError
from sync.operations.workers import WorkerIdentity

NOW = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WORKER = WorkerIdentity("worker-one", "host", 4711)


def _no_check(parameters: object) -> None:
    """Anything goes."""


@operation("noted", "Writes a line into the log. For tests.", verify=_no_check, line="the line")
def noted(parameters: Any, run: Run, log: Log) -> str:
    log(str(parameters.get("line", "noted")))
    return "Noted."


@operation("away", "Finds that what it needs is away. For tests.", verify=_no_check)
def away(parameters: Any, run: Run, log: Log) -> str:
    raise UnavailableError("It is away.")


def make_scheduled_job(name: str, *, since: datetime = NOW - 5 * MINUTE, **fields: Any) -> ScheduledJob:
    """A job every five minutes, decided up to `since`."""
    values: dict[str, Any] = {
        "action": Action.OPERATION,
        "operation": "noted",
        "interval": None if "cron" in fields else 5 * MINUTE,
        "anchor": datetime(2026, 1, 1, tzinfo=UTC),
        "watermark": since,
    }
    job = ScheduledJob(name=name, **(values | fields))
    job.next_due = next_due(job.schedule, job.watermark)
    job.save()
    return job


def states(job: ScheduledJob) -> list[str]:
    """The states of the job's runs, by due time."""
    return list(Run.objects.filter(scheduled_job=job).order_by("due_at").values_list("state", flat=True))
