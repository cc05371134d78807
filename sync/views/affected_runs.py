"""One run of a query: live while it runs, then its table, what can be done with it, and why a row is in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from opsconsole import estate
from opsconsole.access import Scoping, requires
from opsconsole.audit import actor_of
from opsconsole.downloads import csv_download, download
from opsconsole.errors import ConsoleError, UsageError
from opsconsole.keys import restore_key
from opsconsole.scoping import holds_here
from opsconsole.words import counted, machine_time
from sync.access import CANCEL, QUERY, STAGE
from sync.affected_tables import AffectedTable, UpdatedTaskTable, rows_of
from sync.customers import shown_id
from sync.models import AffectedRow, QueryRun, RunState
from sync.operations import query_runs
from sync.operations.estimate import estimate_run
from sync.operations.ids import Output, organization_rules
from sync.operations.ids import render as render_ids
from sync.operations.run_staging import stage_run
from sync.source import Source
from sync.views.affected import address_of

TASKS_SHOWN = 50
ROWS_AT_ONCE = 2_000
CSV_HEADER = (
    *("organization_id", "name", "tasks_updated", "tasks_completed", "first_update", "last_update"),
    *("last_checked_at", "last_check_found"),
)


def _run(number: int) -> QueryRun:
    return get_object_or_404(QueryRun.objects.select_related("saved_query"), pk=number)


@require_safe
@requires(QUERY, scoping=Scoping.NARROWED)
def run_page(request: HttpRequest, number: int) -> HttpResponse:
    return render(request, "sync/affected_run.html", _content(request, _run(number)))


@require_safe
@requires(QUERY, scoping=Scoping.NARROWED)
def run_live(request: HttpRequest, number: int) -> HttpResponse:
    """The live part of the run's page, again."""
    return render(request, "sync/affected_run_live.html", _content(request, _run(number)) | {"swap": True})


def _content(request: HttpRequest, run: QueryRun) -> dict[str, Any]:
    """What the page shows. Four queries once the run has ended, none before."""
    may_stage = request.user.has_perm(STAGE.name)
    with_rows = run.status.terminal and run.organizations and run.rows_dropped_at is None
    hidden = () if may_stage else ("selected",)
    seconds = ((run.ended_at or timezone.now()) - run.started_at).total_seconds()
    return {
        "run": run,
        "seconds": max(seconds, 0.0),
        "whole": run.status is RunState.DONE,
        "table": AffectedTable.of(request, run, exclude=hidden) if with_rows else None,
        "conditions": conditions(run),
        "address": request.build_absolute_uri(address_of(run.parameters, like=run.pk)),
        "may_stage": may_stage,
        "may_cancel": _may_cancel(request, run),
    }


def conditions(run: QueryRun) -> list[tuple[str, str]]:
    """What the run asked for beyond its window, as label and text."""
    asked = run.parameters
    excluded = ", ".join(asked.get("exclude", ()))
    pasted = sum(len(text.splitlines()) for text in asked.get("without", ()))
    parts = [
        ("Statuses", ", ".join(asked.get("status", ())) or "any"),
        ("At least", f"{asked['min'][0]} tasks updated" if "min" in asked else ""),
        ("Left out", excluded),
        ("Not checked since", ", ".join(asked.get("checked_since", ()))),
        ("Pasted list left out", counted(pasted, "line") if pasted else ""),
    ]
    return [(label, text) for label, text in parts if text]


def _may_cancel(request: HttpRequest, run: QueryRun) -> bool:
    own = run.started_by == request.user.get_username()
    return run.status is RunState.RUNNING and (own or holds_here(request.user, CANCEL))


@require_POST
@requires(QUERY, scoping=Scoping.NARROWED)
def cancel_run(request: HttpRequest, number: int) -> HttpResponseRedirect:
    """One's own run; those of others need the permission to cancel."""
    run = _run(number)
    if run.status is RunState.RUNNING and not _may_cancel(request, run):
        raise PermissionDenied(f"To cancel the query of somebody else needs the permission {CANCEL.name}.")
    try:
        query_runs.cancel_run(run, actor_of(request))
    except ConsoleError as error:
        messages.error(request, str(error))
    return redirect("sync:affected_run", run.pk)


@require_POST
@requires(STAGE, scoping=Scoping.NARROWED)
def stage(request: HttpRequest, number: int) -> HttpResponseRedirect:
    """Stage what is ticked, or with `all` everything that the run found."""
    run = _run(number)
    only = None if "all" in request.POST else request.POST.getlist("selected")
    try:
        if only == []:
            raise UsageError("Nothing was ticked, so nothing was staged.")
        result = stage_run(run, actor_of(request), only, include_skipped="include_skipped" in request.POST)
    except UsageError as error:
        messages.warning(request, str(error))
    else:
        left_out = result.active or result.skipped
        (messages.warning if left_out else messages.success)(request, result.sentence())
    # The same page of the list; the path is ours, only what follows the question mark comes from the request.
    query = request.GET.urlencode()
    return redirect(f"{reverse('sync:affected_run', args=[run.pk])}{'?' if query else ''}{query}")


@require_safe
@requires(QUERY, scoping=Scoping.NARROWED)
def rows_csv(request: HttpRequest, number: int) -> StreamingHttpResponse:
    """Every row of the run, in the order of the page, streamed."""
    run = _run(number)
    query_runs.ended_with_rows(run)
    whole = "" if run.status is RunState.DONE else f"-{run.state}"
    rows = rows_of(run).order_by(*AffectedTable.ordering(request.GET.get("sort", "")))
    name = f"affected-{run.pk}{whole}.csv"
    return csv_download(request, f"query_run:{run.pk}", name, CSV_HEADER, _cells(rows.iterator(ROWS_AT_ONCE)))


def _cells(rows: Iterator[AffectedRow]) -> Iterator[tuple[object, ...]]:
    for row in rows:
        yield (
            shown_id(row.organization_id),
            row.name,
            row.updated,
            row.completed,
            machine_time(row.first_update),
            machine_time(row.last_update),
            machine_time(row.last_checked_at) if row.last_checked_at else "",
            "" if row.last_check_found is None else row.last_check_found,
        )


@require_safe
@requires(QUERY, scoping=Scoping.NARROWED)
def ids_text(request: HttpRequest, number: int) -> StreamingHttpResponse:
    """The ids of every row in the shape `?to=`: prefixed unless told otherwise."""
    run = _run(number)
    query_runs.ended_with_rows(run)
    to = request.GET.get("to", Output.PREFIXED.value)
    if to not in {shape.value for shape in Output}:
        raise UsageError(f"Ids cannot be given as {to[:40]!r}; allowed are {', '.join(sorted(Output))}.")
    source = estate.current().source
    ids = AffectedRow.objects.filter(run=run).order_by("organization_id").values_list("organization_id", flat=True)
    keys = (restore_key(source.organizations.id_type, text) for text in ids.iterator(ROWS_AT_ONCE))
    text = render_ids(keys, Output(to), organization_rules(source))
    return download(request, f"query_run:{run.pk}", f"affected-{run.pk}-{to}.txt", [f"{text}\n"])


@require_safe
@requires(QUERY, scoping=Scoping.NARROWED)
def estimate(request: HttpRequest, number: int) -> HttpResponse:
    """Counts at the source: up to ten seconds. A part of the run's page where htmx asks, a page of its own else."""
    run = _run(number)
    query_runs.ended_with_rows(run)
    template = (
        "sync/affected_estimate_part.html" if request.headers.get("HX-Request") else "sync/affected_estimate.html"
    )
    return render(request, template, {"run": run, "estimate": estimate_run(run)})


@require_safe
@requires(QUERY, scoping=Scoping.NARROWED)
def why(request: HttpRequest, number: int, organization: str) -> HttpResponse:
    """The first tasks of one organization that matched, as the source has them now."""
    run = _run(number)
    row = get_object_or_404(AffectedRow, run=run, organization_id=organization)
    settings = estate.current().source
    with Source(settings) as source:
        tasks = source.updated_tasks(
            restore_key(settings.organizations.id_type, organization),
            run.window_from,
            run.window_to,
            statuses=run.parameters.get("status", ()),
            limit=TASKS_SHOWN,
        )
    table = UpdatedTaskTable.of(tasks, label="Updated tasks", request=request)
    return render(request, "sync/affected_why.html", {"run": run, "row": row, "table": table, "shown": len(tasks)})
