"""The tables of syncing by hand and of the skip list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, IntegerField, QuerySet, TextChoices, Value, When
from django.utils.html import format_html
from django.utils.safestring import SafeString

from opsconsole.tables import BadgeColumn, ConsoleColumn, SelectColumn, WhenColumn
from opsconsole.tones import Tone
from sync.affected_tables import as_text, task_page
from sync.customers import shown_id
from sync.models import SkippedOrganization
from sync.operations.byhand import ComparedTask
from sync.operations.skipimport import Change
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


class SkipState(TextChoices):
    """Whether an entry is on the list now."""

    OPEN = "open", "Skipped"
    RESOLVED = "resolved", "Resolved"

    @property
    def tone(self) -> Tone:
        return Tone.PROBLEM if self is SkipState.OPEN else Tone.FINE


def skip_rows() -> QuerySet[SkippedOrganization]:
    """Entries with `closed`, 0 or 1: open ones come first."""
    return SkippedOrganization.objects.annotate(
        closed=Case(When(resolved_at=None, then=Value(0)), default=Value(1), output_field=IntegerField())
    )


class SkipTable(ListTable):
    empty = "No entry matches."
    file = False

    organization = cell("skipped_organization", accessor="organization_id")
    state = cell(
        "skipped_state",
        accessor="pk",
        attrs={"td": {"class": "status"}},
        extra_context={"open": SkipState.OPEN, "resolved": SkipState.RESOLVED},
    )
    reason = ConsoleColumn()
    note = cell("skipped_note", attrs={"td": {"class": "wide"}}, default="")
    job = cell("skipped_job", accessor="job_id")
    skipped_by = ConsoleColumn(verbose_name="By")
    skipped_at = WhenColumn(verbose_name="Since")

    sorts = {"skipped_at": "skipped_at"}

    @classmethod
    def ordering(cls, sort: str) -> tuple[str, ...]:
        return super().ordering(sort) if sort else ("closed", "-skipped_at", "-id")

    def render_reason(self, value: str, record: SkippedOrganization) -> str:
        return record.get_reason_display()


class OpenSelectColumn(SelectColumn):
    """A box for those that are on the list; a resolved one has nothing to be done with."""

    def render(self, value: Any, record: SkippedOrganization) -> SafeString:
        return super().render(value, record) if record.resolved_at is None else format_html("{}", "")


class EditableSkipTable(SkipTable):
    selected = OpenSelectColumn(accessor="pk", label=lambda entry: entry.name or shown_id(entry.organization_id))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"sequence": ("selected", "...")} | kwargs)


class ChangeTable(ListTable):
    """Rows are `Change`s of an import."""

    empty = "Nothing would change."

    line = ConsoleColumn(accessor="row__line", attrs=NUMBERS)
    what = ConsoleColumn(accessor="new", empty_values=())
    organization = cell("skipped_organization", accessor="entry__organization_id")
    fields_ = cell("import_fields", accessor="fields", verbose_name="Before → after", attrs={"td": {"class": "wide"}})

    def render_what(self, record: Change) -> str:
        return "New" if record.new else "Changed"


class RowErrorTable(ListTable):
    line = ConsoleColumn(attrs=NUMBERS)
    text = ConsoleColumn(verbose_name="What stands there", attrs={"td": {"class": "mono"}})
    why = ConsoleColumn(verbose_name="What is wrong", attrs={"td": {"class": "wide"}})
