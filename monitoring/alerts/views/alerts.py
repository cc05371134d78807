"""Alerts: the list, open ones first, and one with its history and messages."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from monitoring.alerts.access import VIEW
from monitoring.alerts.forms import AlertFilter, NoteForm
from monitoring.alerts.models import Alert
from monitoring.alerts.tables import AlertTable, NotificationTable
from opsconsole.access import requires
from opsconsole.keyset import capped_count

EVENTS_SHOWN = 200
MESSAGES_SHOWN = 100
MEMBERS_SHOWN = 100


@require_safe
@requires(VIEW)
def alert_list(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    form = AlertFilter(request.GET)
    content: dict[str, Any] = {"form": form, "tab": "alerts"}
    if not form.is_valid():
        return render(request, "alerts/alerts.html", content, status=400)
    rows = _filtered(form.cleaned_data)
    table = AlertTable.from_request(request, rows, label="Alerts", total=capped_count(rows))
    for alert in table.keyset.rows if table.keyset else ():
        alert.look(now)
    return render(request, "alerts/alerts.html", content | {"table": table})


def _filtered(wanted: dict[str, str]) -> QuerySet[Alert]:
    now = timezone.now()
    match wanted["state"] or "open":
        case "open":
            rows = Alert.objects.open()
        case "acknowledged":
            rows = Alert.objects.open().filter(acknowledged_until__gt=now)
        case "resolved":
            rows = Alert.objects.filter(resolved_at__isnull=False)
        case _:
            rows = Alert.objects.all()
    return rows.filter(**{name: wanted[name] for name in ("kind", "severity", "scope") if wanted[name]})


@require_safe
@requires(VIEW)
def alert_page(request: HttpRequest, number: int) -> HttpResponse:
    """Five queries."""
    return render(request, "alerts/alert.html", content_of(number))


def content_of(number: int, form: NoteForm | None = None) -> dict[str, Any]:
    alert = get_object_or_404(Alert.objects.select_related("incident"), pk=number)
    now = timezone.now()
    alert.look(now)
    messages = alert.notifications.select_related("channel").order_by("-pk")[:MESSAGES_SHOWN]
    members = list(alert.members.order_by("pk")[:MEMBERS_SHOWN])
    for member in members:
        member.look(now)
    before = Alert.objects.of(alert.kind, alert.subject).exclude(pk=alert.pk).order_by("-pk")[:5]
    return {
        "alert": alert,
        "seen": [(name.replace("_", " ").capitalize(), value) for name, value in alert.seen.items() if value != ""],
        "events": list(alert.events.order_by("-pk")[:EVENTS_SHOWN])[::-1],
        "messages_table": NotificationTable(list(messages), label="Messages"),
        "members_table": AlertTable(members, label="Belongs to this incident") if members else None,
        "before": list(before),
        "form": form or NoteForm(),
    }
