"""The tables of the skip list, and of an import into it."""

from __future__ import annotations

from typing import Any

from django.db.models import Case, IntegerField, QuerySet, TextChoices, Value, When
from django.utils.html import format_html
from django.utils.safestring import SafeString

from opsconsole.tables import ConsoleColumn, SelectColumn, WhenColumn
from opsconsole.tones import Tone
from sync.customers import shown_id
from sync.models import SkippedOrganization
from sync.operations.skipimport import Change
from sync.tables import NUMBERS, ListTable, cell


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
        extra={"open": SkipState.OPEN, "resolved": SkipState.RESOLVED},
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
