"""Stuck records: which they are, when they were made, and staging their organizations."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import chain, islice
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from monitoring.records.access import VIEW
from monitoring.records.began import when_made
from monitoring.records.forms import StuckForm
from monitoring.records.operations import staging
from monitoring.records.problems import problem_of
from monitoring.records.query import RecordTable
from monitoring.records.standing import Standing, can_be_staged
from monitoring.records.stuck import StuckQuestion, StuckRecord, StuckRecords
from monitoring.records.stuckpage import read_page
from monitoring.records.tables import StuckTable
from monitoring.records.views.common import page_content, standing_or_404
from opsconsole.access import Scoping, requires
from opsconsole.audit import actor_of
from opsconsole.downloads import csv_download
from opsconsole.errors import ConsoleError, UsageError
from opsconsole.keyset import page_size
from opsconsole.words import machine_time
from sync.access import STAGE

CSV_HEADER = ("id", "status", "label", "organization_id", "title", "created", "last_change", "in_status_seconds")


@require_safe
@requires(VIEW, scoping=Scoping.NARROWED)
def show(request: HttpRequest, name: str) -> HttpResponse:
    standing, now = standing_or_404(name), timezone.now()
    form = StuckForm(request.GET, standing)
    may_stage = can_be_staged(standing.source) and request.user.has_perm(STAGE.name)
    content = page_content(request, standing, "stuck") | {"form": form, "may_stage": may_stage, "now": now}
    if not form.is_valid():
        return render(request, "records/stuck.html", content, status=400)
    question = form.question(now)
    try:
        content |= _found(request, standing, question, now, may_stage=may_stage)
    except UsageError:
        raise
    except ConsoleError as error:
        content["problem"] = problem_of(error, standing.source)
    return render(request, "records/stuck.html", content)


def _found(
    request: HttpRequest, standing: Standing, question: StuckQuestion, now: datetime, *, may_stage: bool
) -> dict[str, Any]:
    """Two queries to the source: the counts by time of creation, and one page of the list."""
    with RecordTable(standing.source) as table:
        made = when_made(StuckRecords(table), standing, question)
        page = read_page(
            StuckRecords(table), question, request.GET.get("cursor", ""), page_size(request.GET.get("size"))
        )
    label = f"Stuck {standing.source.label.lower()}"
    shown = StuckTable.of(page, standing, now, may_stage=may_stage, label=label, request=request)
    return {"made": made, "table": shown}


@require_safe
@requires(VIEW, scoping=Scoping.NARROWED)
def records_csv(request: HttpRequest, name: str) -> StreamingHttpResponse:
    """Every record of the list, streamed from the source."""
    standing, now = standing_or_404(name), timezone.now()
    lines = _lines(standing, _question(request, standing, now), now)
    # The first line is read before anything is sent, so that a source in trouble is said and not half a file.
    first = list(islice(lines, 1))
    return csv_download(request, f"records:{name}", f"{name}-stuck.csv", CSV_HEADER, chain(first, lines))


def _question(request: HttpRequest, standing: Standing, now: datetime) -> StuckQuestion:
    form = StuckForm(request.GET, standing)
    if not form.is_valid():
        raise UsageError(" ".join(str(error) for errors in form.errors.values() for error in errors))
    return form.question(now)


def _lines(standing: Standing, question: StuckQuestion, now: datetime) -> Iterator[tuple[object, ...]]:
    with RecordTable(standing.source) as table:
        for record in StuckRecords(table).stream(question):
            yield _cells(record, standing, now)


def _cells(record: StuckRecord, standing: Standing, now: datetime) -> tuple[object, ...]:
    return (
        str(record.key),
        record.status,
        standing.guide.kind(record.status).label,
        record.organization,
        record.title,
        machine_time(record.created),
        machine_time(record.since),
        round((now - record.since).total_seconds()),
    )


@require_POST
@requires(STAGE, scoping=Scoping.NARROWED)
def stage(request: HttpRequest, name: str) -> HttpResponseRedirect:
    """Stage the organizations of the ticked records, or with `all` those of every record that the address asks for."""
    standing = standing_or_404(name)
    actor = actor_of(request)
    try:
        if "all" in request.POST:
            result = staging.stage_all(standing.source, _question(request, standing, timezone.now()), actor)
        else:
            result = staging.stage_records(standing.source, request.POST.getlist("selected"), actor)
    except ConsoleError as error:
        messages.warning(request, str(error))
        # The same page of the list; the path is ours, only what follows the question mark comes from the request.
        query = request.GET.urlencode()
        return redirect(f"{reverse('records:stuck', args=[name])}{'?' if query else ''}{query}")
    left_out = result.active or result.skipped
    (messages.warning if left_out else messages.success)(request, f"Organizations: {result.sentence()}")
    return redirect("sync:staged")
