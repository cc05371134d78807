"""The table of syncing by hand: what both sides have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import TextChoices

from opsconsole.tables import BadgeColumn, WhenColumn
from opsconsole.tones import Tone
from sync.affected_tables import as_text, task_page
from sync.customers import shown_id
from sync.operations.byhand import ComparedTask
from sync.tables import NUMBERS, ListTable, cell

ORGANIZATION = "organization"


class Finding(TextChoices):
    """How the index is about one task."""

    SAME = "same", "Same"
    STALE = "stale", "Stale"
    MISSING = "missing", "Missing"
    ORPHAN = "orphan", "Orphan"
    YOUNG = "young", "Too young to judge"

    @property
    def tone(self) -> Tone:
        return {"same": Tone.FINE, "young": Tone.WAITING}.get(self.value, Tone.PROBLEM)


@dataclass(frozen=True, slots=True)
class SideValue:
    """One compared field on both sides, as text; `same` where both mean the same."""

    name: str
    index: str
    source: str
    in_index: bool
    in_source: bool
    same: bool


@dataclass(frozen=True, slots=True)
class TaskLine:
    """A row of a preview."""

    task: ComparedTask
    values: tuple[SideValue, ...]

    @property
    def id(self) -> str:
        return shown_id(str(self.task.key))

    @property
    def link(self) -> str:
        return task_page(str(self.task.key))

    @property
    def finding(self) -> Finding:
        if self.task.kind is None:
            return Finding.SAME
        return Finding(self.task.kind.value) if self.task.settled else Finding.YOUNG


def line_of(task: ComparedTask, names: Sequence[str]) -> TaskLine:
    """`names` are the compared fields, in the order of the rows' values."""
    source = task.source if task.source is not None and not task.source.deleted else None
    mine, theirs = (row.values if row else () for row in (source, task.index))
    sides = [
        _side(name, mine[place] if mine else None, theirs[place] if theirs else None, task, bool(mine), bool(theirs))
        for place, name in enumerate(names)
    ]
    if ORGANIZATION in task.fields and task.source and task.index:
        sides.append(_side(ORGANIZATION, task.source.organization, task.index.organization, task, True, True))
    return TaskLine(task, tuple(sides) if mine or theirs else ())


def _side(name: str, mine: object, theirs: object, task: ComparedTask, here: bool, there: bool) -> SideValue:
    same = here and there and name not in task.fields
    return SideValue(name, as_text(theirs) or "empty", as_text(mine) or "empty", there, here, same)


class PreviewTable(ListTable):
    """Rows are `TaskLine`s."""

    empty = "Neither side knows any of these tasks."

    id = cell("byhand_task", verbose_name="Task")
    finding = BadgeColumn(verbose_name="The index is")
    values = cell("byhand_values", verbose_name="Index has → source has", attrs={"td": {"class": "wide"}})
    version = cell("byhand_version", accessor="task", verbose_name="Version", attrs=NUMBERS)
    updated_at = WhenColumn(accessor="task__source__updated_at", verbose_name="Updated")
