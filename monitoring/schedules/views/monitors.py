"""Monitors: the list, one with its address and pings, and what people do to it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from monitoring.acting import ask_and_do
from monitoring.schedules.access import CHANGE, VIEW
from monitoring.schedules.models import Monitor, Ping, PingKey
from monitoring.schedules.monitor_forms import KeyForm, MonitorForm, PingFilter
from monitoring.schedules.operations import monitors as operations
from monitoring.schedules.pings import PingKind
from monitoring.schedules.tables import MonitorTable, PingTable
from opsconsole.access import requires
from opsconsole.audit import actor_of
from opsconsole.errors import ConsoleError
from opsconsole.keyset import capped_count

KEYS_SHOWN = 200


@require_safe
@requires(VIEW)
def monitor_list(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    table = MonitorTable.from_request(request, Monitor.objects.select_related("key"), label="Monitors")
    for monitor in table.keyset.rows if table.keyset else ():
        monitor.look(now)
    return render(request, "schedules/monitors.html", {"table": table, "tab": "monitors"})


@require_safe
@requires(VIEW)
def monitor_page(request: HttpRequest, number: int) -> HttpResponse:
    monitor = _monitor(number)
    form = PingFilter(request.GET)
    if not form.is_valid():
        return render(request, "schedules/monitor.html", _content(request, monitor) | {"form": form}, status=400)
    pings = Ping.objects.filter(monitor=monitor)
    if form.cleaned_data["kind"]:
        pings = pings.filter(kind=form.cleaned_data["kind"])
    table = PingTable.from_request(request, pings, label="Pings", total=capped_count(pings))
    return render(request, "schedules/monitor.html", _content(request, monitor) | {"form": form, "table": table})


def _monitor(number: int) -> Monitor:
    monitor = get_object_or_404(Monitor.objects.select_related("key"), pk=number)
    monitor.look(timezone.now())
    return monitor


def _content(request: HttpRequest, monitor: Monitor) -> dict[str, Any]:
    by_name = ""
    if monitor.key is not None and request.user.has_perm(CHANGE.name):  # the key is a secret, for many monitors
        by_name = request.build_absolute_uri(reverse("ping:name", args=[monitor.key.key, monitor.name]))
    return {
        "monitor": monitor,
        "address": request.build_absolute_uri(reverse("ping:code", args=[monitor.code])),
        "by_name": by_name,
        "kinds": [kind.value for kind in PingKind],
        "open_runs": [(rid, at) for rid, at in monitor.state.runs.items()],
    }


@require_http_methods(["GET", "HEAD", "POST"])
@requires(CHANGE)
def add(request: HttpRequest) -> HttpResponse:
    return _edit(request, None)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(CHANGE)
def edit(request: HttpRequest, number: int) -> HttpResponse:
    return _edit(request, _monitor(number))


def _edit(request: HttpRequest, monitor: Monitor | None) -> HttpResponse:
    form = MonitorForm(request.POST if request.method == "POST" else None, monitor=monitor)
    if form.is_valid():
        try:
            return redirect("schedules:monitor", _save(request, form, monitor))
        except ConsoleError as error:
            form.add_error("cron" if form.cleaned_data["cron"] and "cron" in str(error) else None, str(error))
    content = {"form": form, "monitor": monitor}
    return render(request, "schedules/monitor_edit.html", content, status=400 if form.errors else 200)


def _save(request: HttpRequest, form: MonitorForm, monitor: Monitor | None) -> int:
    """The monitor's number. Raises UsageError."""
    if monitor is None:
        monitor = operations.add_monitor(form.values(), actor_of(request))
        messages.success(request, f"{monitor.name} is added. It is expected after its first ping.")
    else:
        changed = operations.change_monitor(monitor, form.values(), actor_of(request))
        messages.success(request, f"{monitor.name} is changed." if changed else "Nothing was changed.")
    return monitor.pk


@require_http_methods(["GET", "HEAD", "POST"])
@requires(CHANGE)
def pause(request: HttpRequest, number: int) -> HttpResponse:
    return _switch(request, number, on=False)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(CHANGE)
def resume(request: HttpRequest, number: int) -> HttpResponse:
    return _switch(request, number, on=True)


def _switch(request: HttpRequest, number: int, *, on: bool) -> HttpResponse:
    monitor = _monitor(number)

    def act(reason: str) -> str:
        (operations.resume if on else operations.pause)(monitor, actor_of(request), reason)
        return f"{monitor.name} is {'resumed' if on else 'paused'}."

    then = reverse("schedules:monitor", args=[monitor.pk])
    content: dict[str, object] = {"monitor": monitor, "on": on}
    return ask_and_do(request, act, template="schedules/monitor_switch.html", then=then, content=content)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(CHANGE)
def keys(request: HttpRequest) -> HttpResponse:
    """The ping keys, which are secrets, and a form for one more."""
    form = KeyForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            key = operations.add_key(form.cleaned_data["name"], actor_of(request))
        except ConsoleError as error:
            form.add_error("name", str(error))
        else:
            messages.success(request, f"The ping key {key.name} is added.")
            return redirect("schedules:keys")
    content = {"form": form, "keys": PingKey.objects.order_by("name")[:KEYS_SHOWN], "tab": "monitors"}
    return render(request, "schedules/keys.html", content, status=400 if form.errors else 200)
