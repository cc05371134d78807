"""The lists of scheduled jobs, runs, monitors and pings. Cells of more than one value are templates."""

from __future__ import annotations

from typing import Any

from opsconsole.tables import BadgeColumn, CellColumn, ConsoleTable, NumberColumn, WhenColumn

CARDS = {"class": "table table-cards"}


def cell(name: str, **kwargs: Any) -> CellColumn:
    return CellColumn(f"schedules/cells/{name}.html", **kwargs)


class CardTable(ConsoleTable):
    """One card per row on a phone."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"attrs": CARDS} | kwargs)


class JobTable(CardTable):
    """Rows are ScheduledJobs with `last`, their last run or None."""

    name = cell("job", verbose_name="Job")
    action = cell("action", verbose_name="Does")
    schedule = cell("schedule", verbose_name="When", orderable=False)
    next_due = cell("next_due", verbose_name="Next due", empty_values=())
    last = cell("last_run", verbose_name="Last run", empty_values=(), orderable=False)

    sorts = {"name": "name", "next_due": "next_due"}
    default_sort = "name"


class RunTable(CardTable):
    file = False

    id = cell("run", verbose_name="Run")
    due_at = WhenColumn(verbose_name="Due")
    state = BadgeColumn(accessor="status", verbose_name="State")
    trigger = cell("trigger", verbose_name="Why")
    started_at = WhenColumn(verbose_name="Started")
    duration = NumberColumn(accessor="seconds", verbose_name="Took", unit="duration")
    attempt = cell("attempts", verbose_name="Attempts")
    said = cell("said", accessor="pk", verbose_name="What came of it")


class MissedTable(CardTable):
    due_at = cell("missed", verbose_name="Missed")
    state = BadgeColumn(accessor="status", verbose_name="State")
    cause = cell("cause", verbose_name="Why")
    acts = cell("missed_acts", accessor="pk", verbose_name="Do")


class DeadRunTable(CardTable):
    id = cell("dead_run", verbose_name="Run")
    error = cell("reason", verbose_name="Reason")
    attempt = cell("attempts", verbose_name="Attempts")
    trigger = cell("trigger", verbose_name="Why it ran")
    ended_at = WhenColumn(verbose_name="Given up")
    acts = cell("missed_acts", accessor="pk", verbose_name="Do")


class MonitorTable(CardTable):
    """Rows are Monitors that have looked at the clock."""

    name = cell("monitor", verbose_name="Monitor")
    status = cell("monitor_status", accessor="shown", verbose_name="Status")
    schedule = cell("monitor_schedule", verbose_name="Expected", orderable=False)
    last_ping = WhenColumn(verbose_name="Last ping")
    expected_at = WhenColumn(verbose_name="Next expected")
    deadline = WhenColumn(verbose_name="Down at")

    sorts = {"name": "name", "last_ping": "last_ping", "deadline": "deadline"}
    default_sort = "name"


class PingTable(CardTable):
    at = WhenColumn(verbose_name="At")
    kind = cell("ping_kind", verbose_name="Ping")
    duration = NumberColumn(accessor="seconds", verbose_name="Run took", unit="duration")
    agent = cell("ping_agent", verbose_name="From", empty_values=())
    text = cell("ping_body", verbose_name="Body", empty_values=())
