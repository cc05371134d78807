"""The breakdown by status: counts of now, what has changed, whether it moves, and what to do."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from monitoring.records.access import VIEW
from monitoring.records.breakdown import Asked, Found, asked_of, find, status_rows
from monitoring.records.charts import chart_table, charts_of
from monitoring.records.forms import PRESETS, WindowForm
from monitoring.records.looks import Look, next_looks
from monitoring.records.models import Snapshot
from monitoring.records.query import MOST_STATUSES
from monitoring.records.report import Row, Verdict, empty_statuses, verdict
from monitoring.records.standing import Standing, seen_sources
from monitoring.records.tables import StatusTable
from monitoring.records.views.common import page_content, standing_or_404
from opsconsole.access import Scoping, requires
from opsconsole.downloads import csv_download
from opsconsole.errors import UnavailableError, UsageError
from opsconsole.words import machine_time

LATE = 3  # intervals without a snapshot
CSV_HEADER = (
    *("status", "label", "records", "share_percent", "oldest_created", "since_an_hour_ago", "stuck"),
    *("limit_seconds", "movement"),
)


@require_safe
@requires(VIEW, scoping=Scoping.NARROWED)
def first(request: HttpRequest) -> HttpResponse:
    """The first record source of the estate that is seen; a page that says what to do where there is none."""
    sources = seen_sources()
    return redirect("records:breakdown", sources[0].name) if sources else render(request, "records/none.html")


@require_safe
@requires(VIEW, scoping=Scoping.NARROWED)
def show(request: HttpRequest, name: str) -> HttpResponse:
    standing, now = standing_or_404(name), timezone.now()
    form = WindowForm(request.GET, standing.ages)
    content = page_content(request, standing, "breakdown") | {"form": form, "presets": PRESETS, "now": now}
    if not form.is_valid():
        return render(request, "records/breakdown.html", content, status=400)
    asked = asked_of(form, standing)
    found = find(standing, asked, now)
    look = _look(request, standing, asked, found, now) if found.breakdown else None
    content |= _content(request, standing, asked, found, look, now)
    return render(request, "records/breakdown.html", content)


def _look(request: HttpRequest, standing: Standing, asked: Asked, found: Found, now: datetime) -> Look | None:
    """The look to compare with; this one is kept for the next."""
    assert found.breakdown is not None
    counts = {one.status: one.count for one in found.breakdown.counts}
    kept: dict[str, Any] = request.session.get("record_looks", {})
    name = standing.source.name
    compared, keep = next_looks(kept.get(name, []), Look(now, asked.ages, asked.everything, counts))
    request.session["record_looks"] = kept | {name: keep}
    return compared


def _content(
    request: HttpRequest, standing: Standing, asked: Asked, found: Found, look: Look | None, now: datetime
) -> dict[str, Any]:
    rows = status_rows(standing, asked, found, look, now) if found.breakdown else []
    trends = {row.kind.status: row.trend for row in rows if row.trend}
    charts = charts_of(standing, found.past, trends, now - asked.reach, now, everything=asked.everything)
    hidden_columns = [name for name, there in (("since_look", look), ("since_hour", found.past)) if not there]
    return {
        "asked": asked,
        "window": asked.ages.window(now),
        "found": found,
        "look": look,
        "rows": rows,
        "verdict": _verdict(rows, found.latest, now) if found.breakdown else None,
        "table": StatusTable(
            rows, source_name=standing.source.name, exclude=hidden_columns, label="Records by status", request=request
        ),
        "total": sum(row.count for row in rows),
        "cut_off": bool(found.breakdown and len(found.breakdown.counts) == MOST_STATUSES),
        "empty": empty_statuses(standing.guide, rows, everything=asked.everything),
        "helpful": [row.kind for row in rows if row.kind.helps],
        "charts": charts,
        "chart_table": chart_table(charts),
        "late": _late(standing, found.latest, now),
    }


def _verdict(rows: list[Row], latest: Snapshot | None, now: datetime) -> Verdict:
    known = latest is not None and latest.stuck is not None
    return verdict(rows, latest.oldest_stuck if latest else None, now, stuck_known=known)


def _late(standing: Standing, latest: Snapshot | None, now: datetime) -> bool:
    return latest is not None and now - latest.taken_at > timedelta(seconds=LATE * standing.source.snapshot_every)


@require_safe
@requires(VIEW, scoping=Scoping.NARROWED)
def counts_csv(request: HttpRequest, name: str) -> StreamingHttpResponse:
    """The table of the page. Raises what the page would show as a problem."""
    standing, now = standing_or_404(name), timezone.now()
    form = WindowForm(request.GET, standing.ages)
    if not form.is_valid():
        raise UsageError(" ".join(str(error) for errors in form.errors.values() for error in errors))
    asked = asked_of(form, standing)
    found = find(standing, asked, now)
    if found.problem:
        raise UnavailableError(found.problem.sentence)
    rows = map(_cells, status_rows(standing, asked, found, None, now))
    return csv_download(request, f"records:{name}", f"{name}-by-status.csv", CSV_HEADER, rows)


def _cells(row: Row) -> tuple[object, ...]:
    return (
        row.kind.status,
        row.kind.label,
        row.count,
        round(row.share, 1),
        machine_time(row.oldest) if row.oldest else "",
        "" if row.since_hour is None else row.since_hour,
        row.stuck,
        round(row.threshold.seconds) if row.threshold else "",
        row.movement,
    )
