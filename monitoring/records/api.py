"""Record statuses for programs: the breakdown of now, the snapshots, what is stuck."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Field, Path, Query, Schema

from monitoring.records.access import VIEW
from monitoring.records.breakdown import asked_of, find, status_rows
from monitoring.records.forms import StuckForm, WindowForm
from monitoring.records.models import Snapshot
from monitoring.records.query import RecordTable
from monitoring.records.report import Row, verdict
from monitoring.records.standing import record_sources
from monitoring.records.stuck import StuckRecord, StuckRecords
from monitoring.records.stuckpage import read_page
from monitoring.records.views.common import standing_or_404
from opsconsole.access import Scoping
from opsconsole.api.filters import FilterError
from opsconsole.api.paging import Page, PagingQuery, page
from opsconsole.api.routes import Routes
from opsconsole.errors import UnavailableError

routes = Routes("Record statuses", "records", scoping=Scoping.NARROWED)

LONGEST_NAME = 60
Name = Annotated[str, Path(min_length=1, max_length=LONGEST_NAME, example="uploads")]


class SourceOut(Schema):
    name: str
    label: str


class Sources(Schema):
    items: list[SourceOut]


class WindowQuery(Schema):
    """Ages of records, such as `15m`, `5h`, `2d`; the source's own where they are left out."""

    older: str | None = Field(None, max_length=12, examples=["15m"])
    younger: str | None = Field(None, max_length=12, examples=["1d"])
    hidden: bool = Field(False, description="Hidden statuses, too.")


class StatusRow(Schema):
    """One status. `share` is in per cent; `stuck` is what the latest snapshot says; changes are null where unknown."""

    status: str
    label: str
    known: bool
    hidden: bool
    count: int
    share: float
    oldest: datetime | None
    since_hour: int | None
    direction: str | None
    movement: str
    stuck: int
    limit_seconds: float | None


class BreakdownOut(Schema):
    """Counts by status of the records made in the window, and what is wrong, in a sentence."""

    source: str
    window_from: datetime
    window_to: datetime
    verdict: str
    statuses: list[StatusRow]


class SnapshotOut(Schema):
    """The counts at one moment; `stuck` is null where it could not be told, `error` says why nothing was counted."""

    taken_at: datetime
    seconds: float
    older_than_seconds: float
    younger_than_seconds: float
    counts: dict[str, int]
    aged: dict[str, int]
    stuck: dict[str, int] | None
    oldest_stuck: datetime | None
    error: str

    @staticmethod
    def resolve_older_than_seconds(snapshot: Snapshot) -> float:
        return snapshot.older_than.total_seconds()

    @staticmethod
    def resolve_younger_than_seconds(snapshot: Snapshot) -> float:
        return snapshot.younger_than.total_seconds()


class StuckQuery(Schema):
    status: str | None = Field(None, max_length=200)
    within: str | None = Field(None, max_length=12, examples=["7d"])
    organization: str | None = Field(None, max_length=200)
    start: str | None = Field(None, max_length=40)
    end: str | None = Field(None, max_length=40)


class StuckOut(Schema):
    """A record that is in its status for too long, since `since`."""

    key: str
    status: str
    organization: str
    title: str
    created: datetime
    since: datetime

    @staticmethod
    def resolve_key(record: StuckRecord) -> str:
        return str(record.key)


@routes.read("", VIEW, Sources, summary="The record sources of the estate")
def list_record_sources(request: HttpRequest) -> Any:
    return {"items": [{"name": one.name, "label": one.label} for one in record_sources()]}


@routes.read("{name}", VIEW, BreakdownOut, summary="Records by status now, as the source answers")
def get_breakdown(request: HttpRequest, name: Name, asked: Annotated[WindowQuery, Query()]) -> Any:
    standing, now = standing_or_404(name), timezone.now()
    form = WindowForm(_given(asked), standing.ages)
    if not form.is_valid():
        raise FilterError(form)
    wanted = asked_of(form, standing)
    found = find(standing, wanted, now)
    if found.problem is not None:
        raise UnavailableError(found.problem.sentence)
    rows = status_rows(standing, wanted, found, None, now)
    known = found.latest is not None and found.latest.stuck is not None
    oldest = found.latest.oldest_stuck if found.latest else None
    window = wanted.ages.window(now)
    return {
        "source": name,
        "window_from": window.start,
        "window_to": window.end,
        "verdict": verdict(rows, oldest, now, stuck_known=known).headline,
        "statuses": [_row(row) for row in rows],
    }


def _given(asked: Schema) -> dict[str, str]:
    """As an address has it: a box that is not ticked is not there."""
    return {name: str(value) for name, value in asked.model_dump(exclude_none=True).items() if value is not False}


def _row(row: Row) -> dict[str, Any]:
    return {
        "status": row.kind.status,
        "label": row.kind.label,
        "known": row.kind.known,
        "hidden": row.kind.hidden,
        "count": row.count,
        "share": row.share,
        "oldest": row.oldest,
        "since_hour": row.since_hour,
        "direction": row.trend.direction.value if row.trend else None,
        "movement": row.movement,
        "stuck": row.stuck,
        "limit_seconds": row.threshold.seconds if row.threshold else None,
    }


@routes.read("{name}/snapshots", VIEW, Page[SnapshotOut], summary="The counts as they were, newest first")
def list_snapshots(request: HttpRequest, name: Name, paging: PagingQuery) -> Any:
    rows = Snapshot.objects.filter(source=standing_or_404(name).source.name)
    return page(rows, ("-taken_at", "-id"), paging)


@routes.read("{name}/stuck", VIEW, Page[StuckOut], summary="Records that are in their status for too long")
def list_stuck(request: HttpRequest, name: Name, paging: PagingQuery, asked: Annotated[StuckQuery, Query()]) -> Any:
    standing, now = standing_or_404(name), timezone.now()
    form = StuckForm(_given(asked), standing)
    if not form.is_valid():
        raise FilterError(form)
    with RecordTable(standing.source) as table:
        return read_page(StuckRecords(table), form.question(now), paging.cursor, paging.size)
