"""Policies: the list, and a form that can be tried on the present tasks before it is saved."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from monitoring.abandonment.access import CHANGE_POLICIES, VIEW
from monitoring.abandonment.forms import PolicyForm
from monitoring.abandonment.models import Policy
from monitoring.abandonment.operations import policies
from monitoring.abandonment.operations.proving import NotSimulatedError
from monitoring.abandonment.operations.simulating import Simulation, simulate
from monitoring.abandonment.rules import DEFAULT
from monitoring.abandonment.tables import ForecastTable
from monitoring.acting import ask_and_do
from opsconsole.access import requires
from opsconsole.audit import actor_of
from opsconsole.errors import ConsoleError

METHODS = ["GET", "HEAD", "POST"]
SHOWN = 200


@require_safe
@requires(VIEW)
def policy_list(request: HttpRequest) -> HttpResponse:
    rows = sorted(Policy.objects.all()[:SHOWN], key=lambda row: row.aim.rank, reverse=True)
    return render(request, "abandonment/policies.html", {"policies": rows, "default": DEFAULT, "tab": "policies"})


@require_http_methods(METHODS)
@requires(CHANGE_POLICIES)
def add(request: HttpRequest) -> HttpResponse:
    return _edit(request, None)


@require_http_methods(METHODS)
@requires(CHANGE_POLICIES)
def edit(request: HttpRequest, number: int) -> HttpResponse:
    return _edit(request, get_object_or_404(Policy, pk=number))


def _edit(request: HttpRequest, policy: Policy | None) -> HttpResponse:
    """POST with `simulate` tries it and changes nothing; without, it is saved, or tried where it was not yet."""
    saving = "simulate" not in request.POST
    form = PolicyForm(request.POST if request.method == "POST" else None, policy=policy, saving=saving)
    instead_of = policy.aim if policy else None
    content: dict[str, Any] = {"form": form, "policy": policy}
    if form.is_valid():
        try:
            if saving and _saved(request, form, policy):
                return redirect("abandonment:policies")
        except NotSimulatedError as error:
            content["not_saved"] = str(error)
        if not saving or "not_saved" in content:
            found = simulate(form.aimed(), instead_of, timezone.now())
            form.carry(found.proof)
            content |= _simulated(found)
    status = 409 if "not_saved" in content else 400 if form.errors else 200
    return render(request, "abandonment/policy.html", content, status=status)


def _saved(request: HttpRequest, form: PolicyForm, policy: Policy | None) -> bool:
    """Raises NotSimulatedError."""
    given, actor = form.cleaned_data, actor_of(request)
    try:
        row = policies.save_policy(
            policy, form.values(), actor, given["reason"], timezone.now(), proof=given["simulated"]
        )
    except NotSimulatedError:
        raise
    except ConsoleError as error:
        form.add_error("scope", str(error))
        return False
    messages.success(
        request, f"The policy for scope {row.scope} and kind {row.kind} is saved. The next look goes by it."
    )
    return True


def _simulated(found: Simulation) -> dict[str, Any]:
    rows = [
        {"task": task, "trouble": one.trouble, "fate": one.fate, "at": one.at, "disabled_at": one.disabled_at}
        for task, one in found.first
    ]
    return {
        "simulation": found,
        "simulated_at": timezone.now(),
        "table": ForecastTable(rows, label="What it would do") if rows else None,
    }


@require_http_methods(METHODS)
@requires(CHANGE_POLICIES)
def remove(request: HttpRequest, number: int) -> HttpResponse:
    policy = get_object_or_404(Policy, pk=number)

    def act(reason: str) -> str:
        policies.remove_policy(policy, actor_of(request), reason)
        return f"The policy for scope {policy.scope} and kind {policy.kind} is removed."

    then = reverse("abandonment:policies")
    content: dict[str, object] = {"policy": policy}
    return ask_and_do(request, act, template="abandonment/policy_remove.html", then=then, content=content)
