"""What people do about one task: keep, exempt, warn, disable, enable again. Each asks why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from monitoring.abandonment.access import DISABLE, KEEP, WARN
from monitoring.abandonment.forms import KeepForm
from monitoring.abandonment.models import Disabling, DisablingState, TrackedTask
from monitoring.abandonment.operations import disabling, wishes
from monitoring.acting import ask_and_do
from opsconsole.access import requires
from opsconsole.audit import actor_of
from opsconsole.errors import ConsoleError, UnavailableError
from opsconsole.words import utc

METHODS = ["GET", "HEAD", "POST"]


def _page(
    request: HttpRequest, number: int, act: Callable[[TrackedTask, str, datetime], str], what: str
) -> HttpResponse:
    task = get_object_or_404(TrackedTask, pk=number)
    return ask_and_do(
        request,
        lambda reason: act(task, reason, timezone.now()),
        template="abandonment/act.html",
        then=reverse("abandonment:task", args=[task.pk]),
        content={"task": task, "what": what},
    )


@require_http_methods(METHODS)
@requires(KEEP)
def keep(request: HttpRequest, number: int) -> HttpResponse:
    task = get_object_or_404(TrackedTask, pk=number)
    form = KeepForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        until: datetime = form.cleaned_data["until"]
        try:
            wishes.keep(task, until, actor_of(request), form.cleaned_data["reason"], timezone.now())
        except ConsoleError as error:
            form.add_error("until", str(error))
        else:
            messages.success(request, f"{task} is kept until {utc(until)} UTC.")
            return redirect("abandonment:task", task.pk)
    content = {"task": task, "what": "keep", "form": form}
    return render(request, "abandonment/act.html", content, status=400 if form.errors else 200)


@require_http_methods(METHODS)
@requires(KEEP)
def keep_no_longer(request: HttpRequest, number: int) -> HttpResponse:
    def act(task: TrackedTask, reason: str, now: datetime) -> str:
        wishes.keep_no_longer(task, actor_of(request), reason, now)
        return f"{task} is under its policy again."

    return _page(request, number, act, "keep_no_longer")


@require_http_methods(METHODS)
@requires(KEEP)
def exempt(request: HttpRequest, number: int, on: bool) -> HttpResponse:
    def act(task: TrackedTask, reason: str, now: datetime) -> str:
        wishes.exempt(task, on, actor_of(request), reason, now)
        return f"{task} is {'exempt' if on else 'under its policy again'}."

    return _page(request, number, act, "exempt" if on else "exempt_no_longer")


@require_http_methods(METHODS)
@requires(WARN)
def warn(request: HttpRequest, number: int) -> HttpResponse:
    def act(task: TrackedTask, reason: str, now: datetime) -> str:
        wishes.warn_now(task, actor_of(request), reason, now)
        return f"A warning to {task.owner} is on its way."

    return _page(request, number, act, "warn")


@require_http_methods(METHODS)
@requires(DISABLE)
def disable(request: HttpRequest, number: int) -> HttpResponse:
    def act(task: TrackedTask, reason: str, now: datetime) -> str:
        return _tried(wishes.ask_by_person(task, actor_of(request), reason, now), now, f"{task} is disabled.")

    return _page(request, number, act, "disable")


@require_http_methods(METHODS)
@requires(DISABLE)
def enable(request: HttpRequest, number: int) -> HttpResponse:
    def act(task: TrackedTask, reason: str, now: datetime) -> str:
        return _tried(wishes.ask_undo(task, actor_of(request), reason, now), now, f"{task} is enabled again.")

    return _page(request, number, act, "enable")


def _tried(asked: Disabling, now: datetime, done: str) -> str:
    """Try at once what was asked for. Raises UnavailableError where it has to be tried again, which the clock does."""
    disabling.attempt(asked.pk, now)
    asked.refresh_from_db()
    if asked.state in (DisablingState.ASKED, DisablingState.UNDOING):
        raise UnavailableError(f"It could not be done yet and is tried again within minutes: {asked.error}")
    return done if asked.state != DisablingState.DROPPED else f"Nothing was done: {asked.error}"
