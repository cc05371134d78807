"""What people do about alerts: acknowledge, annotate, mute."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from monitoring.alerts.access import HANDLE, VIEW
from monitoring.alerts.forms import AcknowledgeForm, MuteForm, NoteForm
from monitoring.alerts.models import Alert, Mute
from monitoring.alerts.operations import acting
from monitoring.alerts.tables import MuteTable
from monitoring.alerts.views.alerts import content_of
from opsconsole.access import requires
from opsconsole.audit import actor_of
from opsconsole.errors import ConsoleError
from sync.forms import refused_into


@require_http_methods(["GET", "HEAD", "POST"])
@requires(HANDLE)
def acknowledge(request: HttpRequest, number: int) -> HttpResponse:
    alert = get_object_or_404(Alert, pk=number)
    form = AcknowledgeForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        now = timezone.now()
        with refused_into(form):
            acting.acknowledge(alert, actor_of(request), form.until(now), form.cleaned_data["note"], now)
            messages.success(request, "It is yours, and nothing escalates until then.")
            return redirect("alerts:alert", number)
    content = {"alert": alert, "form": form}
    return render(request, "alerts/acknowledge.html", content, status=400 if form.errors else 200)


@require_POST
@requires(HANDLE)
def unacknowledge(request: HttpRequest, number: int) -> HttpResponse:
    try:
        acting.take_back(get_object_or_404(Alert, pk=number), actor_of(request), timezone.now())
    except ConsoleError as error:
        messages.error(request, str(error))
    return redirect("alerts:alert", number)


@require_POST
@requires(HANDLE)
def note(request: HttpRequest, number: int) -> HttpResponse:
    form = NoteForm(request.POST)
    if not form.is_valid():
        return render(request, "alerts/alert.html", content_of(number, form), status=400)
    acting.annotate(get_object_or_404(Alert, pk=number), actor_of(request), form.cleaned_data["note"], timezone.now())
    return redirect("alerts:alert", number)


@require_safe
@requires(VIEW)
def mute_list(request: HttpRequest) -> HttpResponse:
    table = MuteTable.from_request(request, Mute.objects.at(timezone.now()), label="Mutes")
    return render(request, "alerts/mutes.html", {"table": table, "tab": "mutes"})


@require_http_methods(["GET", "HEAD", "POST"])
@requires(HANDLE)
def mute_add(request: HttpRequest) -> HttpResponse:
    """What is muted can be given by the address, from the page of an alert."""
    given = {name: request.GET[name] for name in ("kind", "scope") if name in request.GET}
    form = MuteForm(request.POST) if request.method == "POST" else MuteForm(initial={"span": "8h"} | given)
    if form.is_valid():
        wanted, now = form.cleaned_data, timezone.now()
        with refused_into(form):
            acting.mute(wanted["kind"], wanted["scope"], form.until(now), actor_of(request), wanted["reason"], now)
            messages.success(request, "Muted. What is still open when it ends is told then.")
            return redirect("alerts:mutes")
    return render(request, "alerts/mute_add.html", {"form": form}, status=400 if form.errors else 200)


@require_POST
@requires(HANDLE)
def mute_lift(request: HttpRequest, number: int) -> HttpResponse:
    try:
        acting.lift(get_object_or_404(Mute, pk=number), actor_of(request), timezone.now())
    except ConsoleError as error:
        messages.error(request, str(error))
    return redirect("alerts:mutes")
