"""The lists of tracked tasks, policies and disablings. Cells of more than one value are templates."""

from __future__ import annotations

from typing import Any

from opsconsole.tables import BadgeColumn, CellColumn, ConsoleTable, WhenColumn

CARDS = {"class": "table table-cards"}


def cell(name: str, **kwargs: Any) -> CellColumn:
    return CellColumn(f"abandonment/cells/{name}.html", **kwargs)


class CardTable(ConsoleTable):
    """One card per row on a phone."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"attrs": CARDS} | kwargs)


class TaskTable(CardTable):
    """Rows are TrackedTasks with `said`, what they do, and `next`, what happens next."""

    file = False

    title = cell("task", verbose_name="Task", empty_values=())
    state = cell("state", verbose_name="State")
    failing_since = cell("standing", verbose_name="Since", empty_values=())
    owner = cell("owner", verbose_name="Owner", empty_values=())
    disable_at = cell("next", verbose_name="What happens next", empty_values=())

    sorts = {"failing_since": "failing_since", "disable_at": "disable_at"}
    default_sort = "failing_since"


class DisablingTable(CardTable):
    asked_at = WhenColumn(verbose_name="Asked")
    state = BadgeColumn(accessor="status", verbose_name="State")
    asked_by = cell("asked_by", verbose_name="By")
    reason = cell("reason", verbose_name="Why")
    done_at = WhenColumn(verbose_name="Disabled")
    undone_at = WhenColumn(verbose_name="Ended")


class ForecastTable(CardTable):
    """Rows are pairs of a task and what would become of it, as dictionaries."""

    task = cell("forecast_task", verbose_name="Task")
    trouble = cell("forecast_trouble", verbose_name="Trouble")
    at = cell("forecast_at", verbose_name="Warned", accessor="at")
    disabled_at = WhenColumn(verbose_name="Disabled, at the earliest", accessor="disabled_at")
    owner = cell("forecast_owner", verbose_name="Owner", accessor="task__owner")
