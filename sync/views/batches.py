"""Batches: the list, a new one, one batch live, cancel."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from opsconsole.access import requires
from opsconsole.audit import actor_of
from opsconsole.keyset import capped_count, page_of
from sync.access import CANCEL, RUN, VIEW
from sync.forms import BatchFilter, BatchForm, ReasonForm, refused_into
from sync.models import Batch, Mode, StagedOrganization
from sync.operations import batches as operations
from sync.reading import batch_rows, jobs_by_state, listed_jobs
from sync.tables import BatchTable, JobTable, PlanTable

PREVIEW_ROWS = 50


@require_safe
@requires(VIEW)
def batch_list(request: HttpRequest) -> HttpResponse:
    form = BatchFilter(request.GET)
    if not form.is_valid():
        return render(request, "sync/batches.html", {"form": form}, status=400)
    wanted = {name: value for name, value in form.cleaned_data.items() if value}
    rows = Batch.objects.filter(**wanted)
    page = page_of(request, rows, ("-id",))
    table = BatchTable(batch_rows(page.rows), page=page, label="Batches", request=request, total=capped_count(rows))
    return render(request, "sync/batches.html", {"form": form, "table": table, "filtered": bool(wanted)})


@require_http_methods(["GET", "HEAD", "POST"])
@requires(RUN)
def new_batch(request: HttpRequest) -> HttpResponse:
    """What a batch of `?size=` in `?mode=` would take; a POST starts it."""
    form = BatchForm.with_defaults(request.POST if request.method == "POST" else request.GET)
    if form.is_valid() and request.method == "POST":
        with refused_into(form):
            size, mode = form.cleaned_data["size"], Mode(form.cleaned_data["mode"])
            batch = operations.start_batch(size, mode, actor_of(request))
            messages.success(request, f"Batch {batch.pk} is queued in mode {mode.value}.")
            return redirect("sync:batch", batch.pk)
    content = {"form": form} | _plan(request, form)
    return render(request, "sync/batch_new.html", content, status=400 if form.errors else 200)


def _plan(request: HttpRequest, form: BatchForm) -> dict[str, Any]:
    """The organizations that would be taken, as far as the form says which. Three queries."""
    size, mode = form.cleaned_data.get("size"), form.cleaned_data.get("mode")
    if size is None or not mode:
        return {}
    ready = operations.ready_organizations(Mode(mode))
    taken = capped_count(ready, size).value
    preview = list(ready[: min(size, PREVIEW_ROWS)])
    return {
        "size": size,
        "mode": Mode(mode),
        "taken": taken,
        "more": taken - len(preview),
        "staged": capped_count(StagedOrganization.objects.all()),
        "preview": PlanTable(preview, label="Organizations of the next batch", request=request),
    }


@require_safe
@requires(VIEW)
def batch_page(request: HttpRequest, number: int) -> HttpResponse:
    return render(request, "sync/batch.html", batch_content(request, number))


@require_safe
@requires(VIEW)
def batch_live(request: HttpRequest, number: int) -> HttpResponse:
    """The live part of the batch's page, again. With the header's parts where the state is not the one seen before."""
    content = batch_content(request, number)
    content["state_changed"] = request.headers.get("Seen-State") != content["batch"].state
    return render(request, "sync/batch_live.html", content)


def batch_content(request: HttpRequest, number: int) -> dict[str, Any]:
    """What the page and its live part show. Four queries."""
    batch = get_object_or_404(Batch, pk=number)
    states = jobs_by_state(batch)
    rows = listed_jobs().filter(batch=batch)
    table = JobTable.from_request(request, rows, label=f"Jobs of batch {batch.pk}", exclude=("mode",))
    return {
        "batch": batch,
        "totals": operations.totals(batch),
        "states": states,
        "jobs": sum(one.jobs for one in states),
        "ended": sum(one.jobs for one in states if one.state.terminal),
        "table": table,
    }


@require_http_methods(["GET", "HEAD", "POST"])
@requires(CANCEL)
def cancel_batch(request: HttpRequest, number: int) -> HttpResponse:
    """Say what would end, ask for a reason, then cancel."""
    batch = get_object_or_404(Batch, pk=number)
    form = ReasonForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        with refused_into(form):
            cancelled, asked = operations.cancel_batch(batch, actor_of(request), form.cleaned_data["reason"])
            messages.success(request, f"{cancelled:,} waiting jobs cancelled; {asked:,} running ones asked to stop.")
            return redirect("sync:batch", batch.pk)
    content = {"batch": batch, "states": jobs_by_state(batch), "form": form}
    return render(request, "sync/batch_cancel.html", content, status=400 if form.errors else 200)
