"""Syncing by hand: tasks named, or found on the index, or of one window; first what both sides have, then the job."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import TextChoices
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from opsconsole import estate
from opsconsole.access import Scoping, requires
from opsconsole.audit import actor_of
from opsconsole.keyset import capped_count
from sync.access import RUN, VIEW
from sync.byhand_form import (
    QueryForm,
    SyncTasksForm,
    SyncWindowForm,
    TasksForm,
    Which,
    WindowForm,
    WindowsForm,
)
from sync.byhand_tables import PreviewTable, line_of
from sync.customers import shown_id
from sync.forms import refused_into
from sync.models import Mode, SkippedOrganization
from sync.operations import byhand, windows
from sync.operations.byhand import Preview
from sync.operations.ids import Output, task_rules
from sync.operations.ids import render as render_ids

UNKNOWN_SHOWN = 200
MOST_DIGITS = 18


class Way(TextChoices):
    """The tabs of the page."""

    TASKS = "tasks", "Tasks by id"
    QUERY = "query", "Query on the index"
    WINDOW = "window", "One organization"
    WINDOWS = "windows", "Many organizations"


@require_safe
@requires(VIEW, scoping=Scoping.NARROWED)
def page(request: HttpRequest) -> HttpResponse:
    """One of the four ways; a query or a window that is whole in the address is previewed at once."""
    asked = request.GET
    default = Way.WINDOW if "organization" in asked else Way.TASKS
    way = Way(asked["way"]) if asked.get("way") in Way.values else default
    if way is Way.QUERY:
        return _query(request)
    if way is Way.WINDOW:
        return _window(request)
    form = (
        TasksForm(initial={"ids": asked.get("ids")})
        if way is Way.TASKS
        else WindowsForm(initial={"start": asked.get("from"), "end": asked.get("to")})
    )
    return _page(request, way, form)


def _query(request: HttpRequest) -> HttpResponse:
    form = QueryForm(request.GET if "status" in request.GET else None)
    preview = None
    if form.is_valid():
        with refused_into(form):
            preview = byhand.preview_query(form.cleaned_data["status"], form.cleaned_data["limit"])
    return _page(request, Way.QUERY, form, preview, _start_tasks(preview))


def _window(request: HttpRequest) -> HttpResponse:
    asked = request.GET
    whole = bool(asked.get("from") and asked.get("to"))
    initial = {"organization": asked.get("organization"), "start": asked.get("from"), "end": asked.get("to")}
    form = WindowForm(asked) if whole else WindowForm(initial=initial)
    return _page(request, Way.WINDOW, form, *_window_preview(form))


def _window_preview(form: WindowForm) -> tuple[Preview | None, SyncWindowForm | None]:
    if not form.is_valid():
        return None, None
    preview = None
    with refused_into(form, "organization"):
        preview = byhand.preview_window(form.cleaned_data["organization"], form.window())
    names = ("organization", "start", "end")
    start = SyncWindowForm(initial={name: form.cleaned_data.get(name) for name in names})
    return preview, None if form.errors else start


@require_POST
@requires(VIEW, scoping=Scoping.NARROWED)
def preview_tasks(request: HttpRequest) -> HttpResponse:
    """Compare the tasks that were pasted. A POST, for a list may be too long for an address; it changes nothing."""
    form = TasksForm(request.POST)
    preview = None
    if form.is_valid():
        with refused_into(form, "ids"):
            preview = byhand.preview_tasks(form.cleaned_data["ids"])
    return _page(request, Way.TASKS, form, preview, _start_tasks(preview))


@require_POST
@requires(RUN, scoping=Scoping.NARROWED)
def sync_tasks(request: HttpRequest) -> HttpResponse:
    """Queue the tasks of a preview as one job."""
    start = SyncTasksForm(request.POST)
    if start.is_valid():
        with refused_into(start):
            job = byhand.sync_previewed(start.cleaned_data["ids"], actor_of(request), start.cleaned_data["reason"])
            messages.success(request, f"Job {job.pk} was queued: {job.subject}.")
            return redirect("sync:job", job.pk)
    form = TasksForm(request.POST)
    preview = None
    if form.is_valid():
        with refused_into(form, "ids"):
            preview = byhand.preview_tasks(form.cleaned_data["ids"])
    return _page(request, Way.TASKS, form, preview, start)


def publishes(request: HttpRequest) -> bool:
    return request.POST.get("mode") != Mode.REPORT


@require_POST
@requires(RUN, elevated=publishes, scoping=Scoping.NARROWED)
def sync_window(request: HttpRequest) -> HttpResponse:
    """Queue one organization's window, in the mode of the button that was pressed."""
    start = SyncWindowForm(request.POST)
    if start.is_valid():
        values = start.cleaned_data
        with refused_into(start):
            job = windows.sync_window(
                values["organization"],
                start.window(),
                Mode(values["mode"]),
                actor_of(request),
                reason=values["reason"],
            )
            messages.success(request, f"Job {job.pk} was queued in mode {job.mode}.")
            return redirect("sync:job", job.pk)
    form = WindowForm(request.POST)
    preview, _ = _window_preview(form)
    return _page(request, Way.WINDOW, form, preview, start)


@require_POST
@requires(RUN, elevated=False, scoping=Scoping.NARROWED)
def plan_windows(request: HttpRequest) -> HttpResponse:
    """Make the plan of a batch over a window, and go there. With only a list of organizations: show the form for it."""
    if "which" not in request.POST:
        return _page(request, Way.WINDOWS, WindowsForm(initial=_listed(request)))
    form = WindowsForm(request.POST)
    if form.is_valid():
        with refused_into(form, "ids" if form.cleaned_data["which"] == Which.LISTED else None):
            mode = Mode(form.cleaned_data["mode"])
            plan = windows.plan_windows(form.lines(), form.window(), mode, actor_of(request))
            return redirect("sync:plan", plan.pk)
    return _page(request, Way.WINDOWS, form)


def _listed(request: HttpRequest) -> dict[str, str]:
    """What another page hands over: ids, or numbers of entries ticked on the skip list. One query at most."""
    ticked = [
        text
        for text in request.POST.getlist("selected")
        if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS
    ]
    entries = SkippedOrganization.objects.open().filter(pk__in=ticked).order_by("pk")
    ids = [shown_id(organization) for organization in entries.values_list("organization_id", flat=True)]
    text = "\n".join(ids) or request.POST.get("ids", "")
    return {"which": Which.LISTED.value if text else Which.SKIPPED.value, "ids": text}


def _start_tasks(preview: Preview | None) -> SyncTasksForm | None:
    if preview is None or not preview.keys:
        return None
    text = render_ids(preview.keys, Output.BARE, task_rules(estate.current().source))
    return SyncTasksForm(initial={"ids": text})


def _page(
    request: HttpRequest,
    way: Way,
    form: forms.Form,
    preview: Preview | None = None,
    start: forms.Form | None = None,
) -> HttpResponse:
    """No query beyond one count, for the tab of many organizations."""
    content: dict[str, Any] = {
        "way": way,
        "ways": Way,
        "form": form,
        "preview": preview,
        "start": start,
        "may_run": request.user.has_perm(RUN.name),
    }
    if preview is not None:
        names = estate.current().source.tasks.compare
        lines = [line_of(task, names) for task in preview.shown]
        content["table"] = PreviewTable(lines, label="Tasks on both sides", request=request)
        content["unknown"] = [shown_id(str(key)) for key in preview.unknown[:UNKNOWN_SHOWN]]
    if way is Way.WINDOWS:
        content["skipped"] = capped_count(SkippedOrganization.objects.open())
    wrong = bool(form.errors or (start is not None and start.errors))
    return render(request, "sync/by_hand.html", content, status=400 if wrong else 200)
