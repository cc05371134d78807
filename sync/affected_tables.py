"""The tables of the pages on affected organizations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from django.db.models import QuerySet, TextChoices
from django.db.models.functions import Left
from django.http import HttpRequest
from django.urls import reverse

from opsconsole import estate, words
from opsconsole.keyset import CappedCount, page_of
from opsconsole.tables import BadgeColumn, ConsoleColumn, LinkColumn, NumberColumn, SelectColumn, WhenColumn
from opsconsole.tones import Tone
from sync.customers import shown_id
from sync.models import AffectedRow, Job, QueryRun, SkippedOrganization, StagedOrganization
from sync.source import UpdatedTask
from sync.tables import NUMBERS, ListTable, TookColumn, cell

NAME_SORTED_BY = 100
"""Characters of a name that order the list: a cursor carries them, and must stay short."""


class Standing(TextChoices):
    """What the console has to do with an organization at this moment."""

    ACTIVE = "active", "Active"
    SKIPPED = "skipped", "Skipped"
    STAGED = "staged", "Staged"

    @property
    def tone(self) -> Tone:
        return {"active": Tone.WORKING, "skipped": Tone.PROBLEM, "staged": Tone.WAITING}[self.value]


@dataclass(frozen=True, slots=True)
class AffectedLine:
    """A row of a run, and how its organization stands now."""

    row: AffectedRow
    standing: tuple[Standing, ...]

    @property
    def label(self) -> str:
        return self.row.name or shown_id(self.row.organization_id)


def lines_of(rows: Iterable[AffectedRow]) -> list[AffectedLine]:
    """The rows of one page with their standing. Three queries."""
    rows = list(rows)
    ids = [row.organization_id for row in rows]
    held = {
        Standing.ACTIVE: Job.objects.active_organizations(ids),
        Standing.SKIPPED: SkippedOrganization.objects.open_organizations(ids),
        Standing.STAGED: set(StagedOrganization.objects.filter(pk__in=ids).values_list("pk", flat=True)),
    }
    return [AffectedLine(row, tuple(one for one in Standing if row.organization_id in held[one])) for row in rows]


class AffectedTable(ListTable):
    """Rows are `AffectedLine`s."""

    selected = SelectColumn(accessor="row__organization_id", label=lambda line: line.label)
    organization = cell("affected_organization", accessor="row")
    standing = cell("affected_standing", verbose_name="Now", attrs={"td": {"class": "status"}})
    updated = cell("affected_updated", accessor="row", attrs=NUMBERS)
    completed = NumberColumn(accessor="row__completed")
    last_update = cell("affected_updates", accessor="row", verbose_name="First, last update (UTC)")
    checked = WhenColumn(accessor="row__last_checked_at", verbose_name="Last check")
    found = NumberColumn(accessor="row__last_check_found")

    sorts = {
        "organization": "name_start",
        "updated": "updated",
        "completed": "completed",
        "first_update": "first_update",  # no header of its own: the page shows both ends in one cell
        "last_update": "last_update",
        "checked": "last_checked_at",
        "found": "last_check_found",
    }
    default_sort = "-updated"

    @classmethod
    def of(cls, request: HttpRequest, run: QueryRun, **kwargs: Any) -> AffectedTable:
        """The page of the run's rows that the address asks for. Four queries. Raises UsageError."""
        page = page_of(request, rows_of(run), cls.ordering(request.GET.get("sort", "")))
        total = CappedCount(run.organizations, capped=False)
        label = "Affected organizations"
        return cls(lines_of(page.rows), page=page, label=label, total=total, request=request, **kwargs)


def rows_of(run: QueryRun) -> QuerySet[AffectedRow]:
    return AffectedRow.objects.filter(run=run).annotate(name_start=Left("name", NAME_SORTED_BY))


class RunTable(ListTable):
    pk = LinkColumn(verbose_name="Run", address=lambda run: reverse("sync:affected_run", args=[run.pk]))
    window_from = WhenColumn(verbose_name="From")
    window_to = WhenColumn(verbose_name="To")
    saved_query = ConsoleColumn(verbose_name="Query")
    started_by = ConsoleColumn(verbose_name="By")
    started_at = WhenColumn(verbose_name="Started")
    took = TookColumn()
    status = BadgeColumn(verbose_name="State")
    organizations = NumberColumn()
    tasks_updated = NumberColumn(verbose_name="Tasks updated")

    empty = "No query has run yet."


class UpdatedTaskTable(ListTable):
    """Tasks of the source; the estate's compared columns follow."""

    key = cell("affected_task", verbose_name="Task")
    status = ConsoleColumn()
    updated_at = WhenColumn(verbose_name="Updated")

    @classmethod
    def of(cls, tasks: Sequence[UpdatedTask], **kwargs: Any) -> UpdatedTaskTable:
        settings = estate.current().source.tasks
        shown = [(place, name) for place, name in enumerate(settings.compare) if name != settings.status]
        rows = [
            {
                "key": str(task.key),
                "link": task_page(str(task.key)),
                "status": f"{task.status}, deleted" if task.deleted else task.status,
                "updated_at": task.updated_at,
            }
            | {f"value_{place}": as_text(task.values[place]) for place, _ in shown}
            for task in tasks
        ]
        columns = [(f"value_{place}", ConsoleColumn(verbose_name=name)) for place, name in shown]
        return cls(rows, extra_columns=columns, **kwargs)


def as_text(value: object) -> str | None:
    if value is None:
        return None
    return f"{words.utc(value)} UTC" if isinstance(value, datetime) and value.tzinfo else str(value)


def task_page(task_id: str) -> str:
    template = estate.current().source.tasks.link
    return template.replace("{id}", quote(task_id, safe="")) if template else ""
