"""Affected organizations: the query page, running a query, and queries kept under a name."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from opsconsole.access import Scoping, requires
from opsconsole.audit import actor_of
from opsconsole.errors import ConsoleError
from opsconsole.scoping import holds_here
from sync.access import QUERY, SHARE
from sync.affected_form import AffectedForm, Parameters, Preset
from sync.affected_tables import RunTable
from sync.forms import refused_into
from sync.models import QueryRun, SavedQuery
from sync.operations import saved_queries
from sync.operations.query_runs import start_run

RUNS_SHOWN = 8
MOST_DIGITS = 18
LONGEST_ADDRESS = 1_500
"""Web servers and mail programs cut longer ones; a longer query is named by the run that has it."""


class SaveForm(forms.Form):
    name = forms.CharField(max_length=120, label="Name", error_messages={"required": "Give it a name."})
    shared = forms.BooleanField(required=False, label="Everybody sees it")


@require_safe
@requires(QUERY, scoping=Scoping.NARROWED)
def query_page(request: HttpRequest) -> HttpResponse:
    form = _form_of(request)
    invalid = form.is_bound and not form.is_valid()
    return _page(request, form, SaveForm(), status=400 if invalid else 200)


def _form_of(request: HttpRequest) -> AffectedForm:
    """What the address asks for: its own parameters, or those of a run (`?like=`) or of a saved query (`?saved=`)."""
    like, saved = (_number(request.GET.get(name, "")) for name in ("like", "saved"))
    if like:
        return AffectedForm.of(get_object_or_404(QueryRun.objects.only("parameters"), pk=like).parameters)
    if saved:
        return AffectedForm.of(_saved(request, saved).parameters)
    return AffectedForm(request.GET if AffectedForm.asked(request.GET) else None)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else 0


def _page(request: HttpRequest, form: AffectedForm, save_form: SaveForm, status: int = 200) -> HttpResponse:
    assert request.user.pk is not None, "routes need a login"
    runs = QueryRun.objects.select_related("saved_query").defer("parameters").order_by("-pk")[:RUNS_SHOWN]
    now = timezone.now()
    content = {
        "form": form,
        "save_form": save_form,
        "saved": [
            (one, address_of(one.query.parameters, saved=one.query.pk))
            for one in saved_queries.visible_to(request.user.pk)
        ],
        "runs": RunTable(list(runs), label="Latest runs", request=request),
        "presets": [(preset, preset.window(now)) for preset in Preset],
        "may_share": holds_here(request.user, SHARE),
    }
    return render(request, "sync/affected.html", content, status=status)


@require_safe
@requires(QUERY, scoping=Scoping.NARROWED)
def run_list(request: HttpRequest) -> HttpResponse:
    rows = QueryRun.objects.select_related("saved_query").defer("parameters")
    table = RunTable.from_request(request, rows, label="Query runs")
    return render(request, "sync/affected_runs.html", {"table": table})


@require_POST
@requires(QUERY, scoping=Scoping.NARROWED)
def run_query(request: HttpRequest) -> HttpResponse:
    form = AffectedForm(request.POST)
    if form.is_valid():
        with refused_into(form):
            return redirect("sync:affected_run", _start(request, form).pk)
    return _page(request, form, SaveForm(), status=400)


def _start(request: HttpRequest, form: AffectedForm, saved: SavedQuery | None = None) -> QueryRun:
    """Start a valid form's query. One that is saved word for word counts as a run of the saved one."""
    parameters = form.parameters()
    actor = actor_of(request)
    saved = saved or saved_queries.with_parameters(parameters, actor)
    return start_run(form.query(timezone.now()), parameters, actor, saved)


@require_POST
@requires(QUERY, scoping=Scoping.NARROWED)
def run_again(request: HttpRequest, number: int) -> HttpResponse:
    """Run what a run has run; a preset window moves with the clock."""
    run = get_object_or_404(QueryRun.objects.select_related("saved_query"), pk=number)
    return _run_kept(request, run.parameters, None)


@require_POST
@requires(QUERY, scoping=Scoping.NARROWED)
def run_saved(request: HttpRequest, number: int) -> HttpResponse:
    saved = _saved(request, number)
    return _run_kept(request, saved.parameters, saved)


def _run_kept(request: HttpRequest, parameters: Parameters, saved: SavedQuery | None) -> HttpResponse:
    form = AffectedForm.of(parameters)
    if form.is_valid():
        with refused_into(form):
            return redirect("sync:affected_run", _start(request, form, saved).pk)
    return _page(request, form, SaveForm(), status=400)


@require_POST
@requires(QUERY, scoping=Scoping.NARROWED)
def save_query(request: HttpRequest) -> HttpResponse:
    """Keep the query that the form shows under a name."""
    form, save_form = AffectedForm(request.POST), SaveForm(request.POST)
    if form.is_valid() and save_form.is_valid():
        wanted: dict[str, Any] = save_form.cleaned_data
        if wanted["shared"] and not holds_here(request.user, SHARE):
            raise PermissionDenied(f"This needs the permission {SHARE.name}.")
        with refused_into(save_form, "name"):
            saved = saved_queries.save(wanted["name"], form.parameters(), actor_of(request), shared=wanted["shared"])
            messages.success(request, f"Saved as {saved.name}.")
            return redirect(address_of(saved.parameters, saved=saved.pk))
    return _page(request, form, save_form, status=400)


@require_POST
@requires(QUERY, scoping=Scoping.NARROWED)
def delete_query(request: HttpRequest, number: int) -> HttpResponseRedirect:
    saved = _saved(request, number)
    try:
        saved_queries.delete(saved, actor_of(request))
    except ConsoleError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{saved.name} is deleted; its runs are kept.")
    return redirect("sync:affected")


def _saved(request: HttpRequest, number: int) -> SavedQuery:
    assert request.user.pk is not None, "routes need a login"
    try:
        return saved_queries.find(number, request.user.pk)
    except SavedQuery.DoesNotExist:
        raise Http404("There is no such query.") from None


def address_of(parameters: Parameters, **known: int) -> str:
    """The query page with these parameters; where they are too long for an address, by what has them: `like=12`."""
    text = urlencode(parameters, doseq=True)
    return f"{reverse('sync:affected')}?{text if len(text) <= LONGEST_ADDRESS else urlencode(known)}"
