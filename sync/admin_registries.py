"""RQ's registries in the administration: what is in them, what differs from the console's rows, and its repair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from opsconsole.access import Permission
from opsconsole.audit import actor_of
from opsconsole.errors import UnavailableError
from sync.access import DELETE, VIEW
from sync.forms import ReasonForm, refused_into
from sync.operations import registries as operations
from sync.registries import carriers
from sync.registries.values import PAST_PLACES, Entry, Found, Place, Registry, Row

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

MOST_LISTED = 100
REPAIR = "repair"
EMPTIED = (*PAST_PLACES, *operations.NEVER_USED_PLACES)


def _acts() -> list[tuple[str, str]]:
    cleaning = [(f"{queue}:{place}", place.label) for queue in settings.QUEUES for place in Place]
    return [(REPAIR, "Repair"), *cleaning]


class ActForm(ReasonForm):
    act = forms.ChoiceField(choices=_acts, widget=forms.HiddenInput)


@dataclass(frozen=True, slots=True)
class Listed:
    """A registry with the entries that are listed, each with its row. `act` cleans it; `verb` says how."""

    registry: Registry
    lines: tuple[tuple[Entry, Row | None], ...]
    more: int
    act: str
    verb: str


def registries(model_admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """Everything in RQ's registries; a POST repairs all or cleans one, with a reason."""
    if request.method not in ("GET", "HEAD", "POST"):
        return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
    _require(request, DELETE if request.method == "POST" else VIEW)
    form = ActForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        with refused_into(form):
            model_admin.message_user(request, _do(request, form.cleaned_data["act"], form.cleaned_data["reason"]))
            return redirect(request.path)
    content = {
        **model_admin.admin_site.each_context(request),
        "title": "Queue registries",
        "opts": model_admin.model._meta,
        "form": form,
        "may_clean": request.user.has_perm(DELETE.name),
        **_content(),
    }
    return TemplateResponse(request, "admin/sync/registries.html", content, status=400 if form.errors else 200)


def _do(request: HttpRequest, act: str, reason: str) -> str:
    if act == REPAIR:
        return operations.repair(actor_of(request), reason).sentence()
    queue, _, place = act.partition(":")
    return operations.clean(queue, Place(place), actor_of(request), reason).sentence()


def _content() -> dict[str, Any]:
    try:
        seen = operations.look()
    except UnavailableError as error:
        return {"unavailable": str(error)}
    differences = seen.comparison.differences
    listed = [_listed(one, seen.rows) for one in seen.snapshot.registries]
    return {
        "now": seen.now,
        "queues": [(queue, [one for one in listed if one.registry.queue == queue]) for queue in settings.QUEUES],
        "differences": [_line(found) for found in differences[:MOST_LISTED]],
        "more_differences": max(len(differences) - MOST_LISTED, 0),
        "beyond": [one for one in seen.snapshot.registries if one.count > len(one.entries)],
    }


def _line(found: Found) -> dict[str, Any]:
    remedy = "Removed by the repair" if found.entry else "Pushed by the repair"
    settled = "The clock settles it, by its heartbeat"
    return {
        "kind": found.kind.label,
        "entry": found.entry,
        "row": found.row,
        "remedy": settled if found.kind == found.kind.WORKER_UNKNOWN else remedy,
    }


def _listed(registry: Registry, rows: Mapping[str, Row]) -> Listed:
    shown = registry.entries[:MOST_LISTED]
    return Listed(
        registry,
        tuple((entry, rows.get(carriers.key_of(entry.rq_id) or "")) for entry in shown),
        registry.count - len(shown),
        f"{registry.queue}:{registry.place}",
        "Empty" if registry.place in EMPTIED else "Remove what differs",
    )


def _require(request: HttpRequest, needed: Permission) -> None:
    if not request.user.has_perm(needed.name):
        raise PermissionDenied(f"This needs the permission {needed.name}.")
