"""From options to a batch: the form, the plan it makes, the start of exactly that plan; plans from an earlier batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from opsconsole.access import Scoping, requires
from opsconsole.audit import actor_of
from opsconsole.errors import ConsoleError
from opsconsole.keyset import capped_count
from sync.access import RUN
from sync.batch_form import BatchForm, StartForm, typed_again
from sync.customers import shown_id
from sync.forms import refused_into
from sync.models import Batch, BatchPlan, Job, Mode, StagedOrganization
from sync.operations import batches as operations
from sync.operations.batches import PlanChangedError, PlanContents

PREVIEW_ROWS = 50
FROM_BATCH = {
    "missing": operations.run_missing,
    "clone": operations.clone,
    "report": operations.report_again,
}


def publishes(request: HttpRequest, number: int) -> bool:
    """Whether starting the plan would publish."""
    return BatchPlan.objects.filter(pk=number, options__options__mode=Mode.SYNC).exists()


@require_http_methods(["GET", "HEAD", "POST"])
@requires(RUN, elevated=False, scoping=Scoping.NARROWED)
def new_batch(request: HttpRequest) -> HttpResponse:
    """The options, with defaults from the address; a POST makes the plan and shows it."""
    form = BatchForm(request.POST if request.method == "POST" else None, initial=request.GET.dict())
    if form.is_valid():
        with refused_into(form):
            return redirect("sync:plan", operations.make_plan(form.options(), actor_of(request)).pk)
    content = {
        "form": form,
        "staged": capped_count(StagedOrganization.objects.all()),
        "ready": [(mode, capped_count(operations.ready_organizations(mode))) for mode in Mode],
    }
    return render(request, "sync/batch_new.html", content, status=400 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(RUN, elevated=publishes, scoping=Scoping.NARROWED)
def plan_page(request: HttpRequest, number: int) -> HttpResponse:
    """What would be queued; a POST with its hash queues exactly that, or says what changed and shows a new plan."""
    plan = get_object_or_404(BatchPlan.objects.select_related("batch"), pk=number)
    contents = operations.contents_of(plan)
    form = StartForm(
        request.POST if request.method == "POST" else None,
        initial={"hash": plan.hash},
        publishes=contents.options.mode is Mode.SYNC,
        number=contents.confirmation,
    )
    if form.is_valid():
        with refused_into(form, "confirmation" if contents.confirmation else None):
            ask = operations.needs_approval(contents) and not plan.batch
            return (_ask if ask else _start)(request, plan, form.cleaned_data)
    return render(request, "sync/plan.html", _content(plan, contents, form), status=400 if form.errors else 200)


def _start(request: HttpRequest, plan: BatchPlan, typed: dict[str, Any]) -> HttpResponseRedirect:
    """Start it, and go to the batch; where the set changed say how, and go to the new plan."""
    confirmation, reason = typed.get("confirmation", ""), typed["reason"]
    try:
        batch = operations.start_plan(plan.pk, typed["hash"], actor_of(request), confirmation, reason)
    except PlanChangedError as changed:
        messages.warning(request, str(changed))
        return redirect("sync:plan", changed.plan.pk) if changed.plan else redirect("sync:batch_new")
    messages.success(request, f"Batch {batch.pk} was queued in mode {batch.mode}.")
    return redirect("sync:batch", batch.pk)


def _ask(request: HttpRequest, plan: BatchPlan, typed: dict[str, Any]) -> HttpResponseRedirect:
    """Make it wait for a second person."""
    operations.ask_approval(plan.pk, typed["hash"], actor_of(request), typed.get("confirmation", ""), typed["reason"])
    messages.success(request, "It waits for a second person's approval. Nothing is published before.")
    return redirect("sync:plan", plan.pk)


def _names(plan: BatchPlan, shown: Sequence[str]) -> dict[str, str]:
    """From the staged set; of a plan that was started, from its jobs, for a sync takes them out of the set."""
    if plan.batch_id is None:
        return dict(StagedOrganization.objects.filter(pk__in=shown).values_list("organization_id", "name"))
    jobs = Job.objects.filter(batch=plan.batch_id, organization_id__in=shown)
    return dict(jobs.values_list("organization_id", "organization_name"))


def _content(plan: BatchPlan, contents: PlanContents, form: StartForm) -> dict[str, Any]:
    """What the page shows. At most one query."""
    shown = contents.organizations[:PREVIEW_ROWS]
    names = contents.origin.names or _names(plan, shown)
    return {
        "plan": plan,
        "options": contents.options,
        "contents": contents,
        "organizations": [(shown_id(key), names.get(key, "")) for key in shown],
        "count": len(contents.organizations),
        "more": len(contents.organizations) - len(shown),
        "left_out": [(shown_id(key), "a job is active") for key in contents.active[:PREVIEW_ROWS]]
        + [(shown_id(key), "on the skip list") for key in contents.skipped[:PREVIEW_ROWS]],
        "left_out_count": len(contents.active) + len(contents.skipped),
        "form_address": f"{reverse('sync:batch_new')}?{urlencode(typed_again(contents.options))}",
        "publishes": contents.options.mode is Mode.SYNC,
        "form": form,
        "needs_approval": operations.needs_approval(contents),
    }


@require_POST
@requires(RUN, elevated=False, scoping=Scoping.NARROWED)
def plan_from_batch(request: HttpRequest, number: int, what: str) -> HttpResponseRedirect:
    """A plan for what is missing of a batch, for the same again, or for another report on it."""
    batch = get_object_or_404(Batch, pk=number)
    try:
        plan = FROM_BATCH[what](batch, actor_of(request))
    except ConsoleError as error:
        messages.error(request, str(error))
        return redirect("sync:batch", batch.pk)
    return redirect("sync:plan", plan.pk)
