"""Second approval: the plans that wait for it, and approving or refusing one."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from opsconsole.access import Scoping, requires
from opsconsole.audit import actor_of
from sync.access import RUN, VIEW
from sync.forms import ReasonForm, refused_into
from sync.models import Approval, BatchPlan
from sync.operations import batches as operations
from sync.operations.batches import PlanChangedError

MOST_SHOWN = 200


class DecisionForm(ReasonForm):
    """`decision` comes from the button that was pressed; `hash` from the plan that was looked at."""

    hash = forms.CharField(max_length=64, widget=forms.HiddenInput)
    decision = forms.ChoiceField(choices=[("approve", "Approve"), ("refuse", "Refuse")], widget=forms.HiddenInput)


@require_safe
@requires(VIEW, scoping=Scoping.NARROWED)
def waiting_list(request: HttpRequest) -> HttpResponse:
    """The oldest first. One query; the lists of organizations stay where they are."""
    rows = BatchPlan.objects.filter(approval=Approval.WAITING).defer("organizations", "options").order_by("pk")
    return render(request, "sync/approvals.html", {"plans": list(rows[:MOST_SHOWN])})


@require_http_methods(["GET", "HEAD", "POST"])
@requires(RUN, scoping=Scoping.NARROWED)
def decide(request: HttpRequest, number: int) -> HttpResponse:
    plan = get_object_or_404(BatchPlan.objects.select_related("batch"), pk=number)
    if plan.approval != Approval.WAITING:
        messages.warning(request, "This plan waits for nobody's approval.")
        return redirect("sync:plan", plan.pk)
    form = DecisionForm(request.POST if request.method == "POST" else None, initial={"hash": plan.hash})
    if form.is_valid():
        with refused_into(form):
            return _decided(request, plan, form.cleaned_data)
    content = {
        "plan": plan,
        "contents": operations.contents_of(plan),
        "own": operations.is_own(plan, actor_of(request)),
        "form": form,
    }
    return render(request, "sync/plan_decide.html", content, status=400 if form.errors else 200)


def _decided(request: HttpRequest, plan: BatchPlan, typed: dict[str, str]) -> HttpResponseRedirect:
    if typed["decision"] == "refuse":
        operations.refuse(plan.pk, typed["hash"], actor_of(request), typed["reason"])
        messages.success(request, "Refused: it is never started.")
        return redirect("sync:plan", plan.pk)
    try:
        batch = operations.approve(plan.pk, typed["hash"], actor_of(request), typed["reason"])
    except PlanChangedError as changed:
        messages.warning(request, f"{changed} It has to be asked for anew.")
        return redirect("sync:plan", changed.plan.pk) if changed.plan else redirect("sync:approvals")
    messages.success(request, f"Approved: batch {batch.pk} was queued.")
    return redirect("sync:batch", batch.pk)
