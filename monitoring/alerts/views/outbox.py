"""The outbox: what waits, what was sent, what was given up and can be sent again."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from monitoring.alerts.access import HANDLE, VIEW
from monitoring.alerts.forms import OutboxFilter
from monitoring.alerts.models import About, Notification, NotificationState
from monitoring.alerts.operations import acting, digests
from monitoring.alerts.tables import DeadTable, NotificationTable
from monitoring.alerts.texts import render as render_text
from opsconsole.access import requires
from opsconsole.audit import actor_of
from opsconsole.errors import ConsoleError
from opsconsole.keyset import capped_count
from opsconsole.models import RestoreHold

MEMBERS_SHOWN = 50


@require_safe
@requires(VIEW)
def outbox(request: HttpRequest) -> HttpResponse:
    form = OutboxFilter(request.GET)
    content: dict[str, Any] = {"form": form, "tab": "outbox", "hold": RestoreHold.objects.first()}
    if not form.is_valid():
        return render(request, "alerts/outbox.html", content, status=400)
    rows = Notification.objects.select_related("channel", "alert")
    if form.cleaned_data["state"]:
        rows = rows.filter(state=form.cleaned_data["state"])
    table = NotificationTable.from_request(request, rows, label="Messages", total=capped_count(rows))
    return render(request, "alerts/outbox.html", content | {"table": table})


@require_safe
@requires(VIEW)
def dead(request: HttpRequest) -> HttpResponse:
    rows = Notification.objects.select_related("channel", "alert").filter(
        state=NotificationState.DEAD, digest__isnull=True
    )
    table = DeadTable.from_request(request, rows, label="Given up", total=capped_count(rows))
    return render(request, "alerts/dead.html", {"table": table, "tab": "dead"})


@require_safe
@requires(VIEW)
def message_page(request: HttpRequest, number: int) -> HttpResponse:
    """Three queries. The text is that of now: it is rendered when it leaves."""
    row = get_object_or_404(Notification.objects.select_related("channel", "alert", "digest"), pk=number)
    members = list(row.members.order_by("pk")[:MEMBERS_SHOWN])
    context = digests.context_of(members) if row.about == About.DIGEST else row.context
    content = {"message": row, "text": render_text(row.template, context), "members": members}
    return render(request, "alerts/message.html", content)


@require_POST
@requires(HANDLE)
def again(request: HttpRequest, number: int) -> HttpResponse:
    try:
        acting.send_again(get_object_or_404(Notification, pk=number), actor_of(request), timezone.now())
    except ConsoleError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "It is queued again, with the same key.")
    return redirect("alerts:dead")
