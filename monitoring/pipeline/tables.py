"""The lists of queues and workers. Cells of more than one value have a template in `templates/pipeline/cells/`."""

from __future__ import annotations

from typing import Any

from opsconsole.tables import BadgeColumn, CellColumn, ConsoleTable, NumberColumn, WhenColumn

CARDS = {"class": "table table-cards"}
NUMBERS = {"th": {"class": "number"}, "td": {"class": "number"}}


def cell(name: str, **kwargs: Any) -> CellColumn:
    return CellColumn(f"pipeline/cells/{name}.html", **kwargs)


class CardTable(ConsoleTable):
    """One card per row on a phone."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"attrs": CARDS} | kwargs)


class QueueTable(CardTable):
    """Rows are `QueueRow`s."""

    name = cell("queue", verbose_name="Queue")
    state = BadgeColumn()
    depth = NumberColumn(accessor="figures__depth", verbose_name="Waiting")
    oldest = NumberColumn(accessor="figures__oldest", verbose_name="Oldest waits", unit="duration")
    flow = cell("flow", verbose_name="In / out a minute", attrs=NUMBERS, orderable=False)
    started = NumberColumn(accessor="figures__started", verbose_name="Started")
    scheduled = NumberColumn(accessor="figures__scheduled", verbose_name="Scheduled")
    failed = NumberColumn(accessor="figures__failed", verbose_name="Failed")
    workers = cell("listening", accessor="listening", verbose_name="Workers", attrs=NUMBERS)
    acts = cell("queue_acts", accessor="name", verbose_name="Do")


class WorkerTable(CardTable):
    """Rows are `WorkerRow`s."""

    name = cell("worker", verbose_name="Worker")
    state = BadgeColumn()
    jobs = cell("worker_jobs", accessor="name", verbose_name="Works on")
    queues = cell("worker_queues", verbose_name="Queues")
    done = cell("worker_done", accessor="name", verbose_name="Done / failed", attrs=NUMBERS)
    memory = NumberColumn(unit="size")
    last_sign = WhenColumn(verbose_name="Last sign")
    acts = cell("worker_acts", accessor="name", verbose_name="Do")


class PartitionTable(CardTable):
    """Rows are `PartitionLag`s."""

    partition = NumberColumn()
    earliest = NumberColumn(verbose_name="First offset")
    latest = NumberColumn(verbose_name="End offset")
    committed = NumberColumn(verbose_name="Committed")
    lag = NumberColumn(verbose_name="Behind")


class CanaryTable(CardTable):
    """Rows are `CanaryRound`s, the newest first."""

    default_sort = "-at"
    sorts = {"at": "at"}

    at = WhenColumn(verbose_name="Round")
    differing = NumberColumn(verbose_name="Differ")
    compared = NumberColumn(verbose_name="Compared")
    found = NumberColumn(verbose_name="Found in all")
    organizations = NumberColumn()
    window = cell("canary_window", accessor="pk", verbose_name="Updated within (UTC)")
    seconds = NumberColumn(verbose_name="Took", unit="duration")
