"""Batches: the list, and one batch live."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from opsconsole.access import Scoping, requires
from opsconsole.keyset import capped_count, page_of
from sync.access import VIEW
from sync.forms import BatchFilter
from sync.models import Batch, BatchState
from sync.models.states import UNSUCCESSFUL_STATES
from sync.operations import batches as operations
from sync.operations.batches import BatchTotals
from sync.progress import Pace, pace
from sync.reading import batch_rows, held_up, jobs_by_state, listed_jobs
from sync.tables import BatchTable, JobTable

NEXT_SHOWN = 10


@require_safe
@requires(VIEW, scoping=Scoping.NARROWED)
def batch_list(request: HttpRequest) -> HttpResponse:
    form = BatchFilter(request.GET)
    if not form.is_valid():
        return render(request, "sync/batches.html", {"form": form}, status=400)
    wanted = form.wanted()
    rows = Batch.objects.filter(**wanted)
    page = page_of(request, rows, ("-id",))
    table = BatchTable(batch_rows(page.rows), page=page, label="Batches", request=request, total=capped_count(rows))
    return render(request, "sync/batches.html", {"form": form, "table": table, "filtered": bool(wanted)})


@require_safe
@requires(VIEW, scoping=Scoping.NARROWED)
def batch_page(request: HttpRequest, number: int) -> HttpResponse:
    return render(request, "sync/batch.html", batch_content(request, number))


@require_safe
@requires(VIEW, scoping=Scoping.NARROWED)
def batch_live(request: HttpRequest, number: int) -> HttpResponse:
    """The live part of the batch's page, again. With the header's parts where the state is not the one seen before."""
    content = batch_content(request, number)
    content["state_changed"] = request.headers.get("Seen-State") != content["batch"].state
    return render(request, "sync/batch_live.html", content)


def batch_content(request: HttpRequest, number: int) -> dict[str, Any]:
    """What the page and its live part show. Nine queries at most."""
    batch = get_object_or_404(Batch.objects.select_related("previous"), pk=number)
    totals = operations.totals(batch)
    states = jobs_by_state(batch)
    rows = listed_jobs().filter(batch=batch)
    table = JobTable.from_request(request, rows, label=f"Jobs of batch {batch.pk}", exclude=("mode",))
    return {
        "batch": batch,
        "totals": totals,
        "pace": _pace(batch, totals),
        "awaits_go": operations.awaits_go(batch),
        "held_up": held_up(batch),
        "unsuccessful": any(one.state in UNSUCCESSFUL_STATES for one in states),
        "next_batches": list(batch.next_batches.order_by("pk")[:NEXT_SHOWN]),
        "states": states,
        "jobs": sum(one.jobs for one in states),
        "ended": sum(one.jobs for one in states if one.state.terminal),
        "table": table,
    }


def _pace(batch: Batch, totals: BatchTotals) -> Pace | None:
    """Over the whole time since the start; None unless it is running."""
    if batch.state != BatchState.RUNNING:
        return None
    expected = batch.expected_tasks
    left = None if expected is None else max(expected - totals.scanned, 0)
    return pace(totals.scanned, (timezone.now() - batch.created_at).total_seconds(), left)
