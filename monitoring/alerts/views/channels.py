"""Channels and their subscriptions. No page shows an address that is a secret."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from monitoring.acting import ask_and_do
from monitoring.alerts.access import CHANGE, VIEW
from monitoring.alerts.forms import ChangeChannelForm, ChannelForm, SubscriptionForm
from monitoring.alerts.models import Channel, ChannelKind, Subscription
from monitoring.alerts.operations import channels as operations
from monitoring.alerts.tables import ChannelTable, NotificationTable
from opsconsole.access import requires
from opsconsole.audit import actor_of
from sync.forms import refused_into

MESSAGES_SHOWN = 20
SUBSCRIPTIONS_SHOWN = 100


@require_safe
@requires(VIEW)
def channel_list(request: HttpRequest) -> HttpResponse:
    rows = Channel.objects.annotate(subscription_count=Count("subscriptions"))
    table = ChannelTable.from_request(request, rows, label="Channels")
    return render(request, "alerts/channels.html", {"table": table, "tab": "channels"})


def _channel(number: int) -> Channel:
    return get_object_or_404(Channel, pk=number)


@require_safe
@requires(VIEW)
def channel_page(request: HttpRequest, number: int) -> HttpResponse:
    return render(request, "alerts/channel.html", _content(number))


def _content(number: int) -> dict[str, Any]:
    channel = _channel(number)
    sent = channel.notifications.select_related("channel").order_by("-pk")[:MESSAGES_SHOWN]
    return {
        "channel": channel,
        "subscriptions": list(channel.subscriptions.order_by("pk")[:SUBSCRIPTIONS_SHOWN]),
        "table": NotificationTable(list(sent), label="Latest messages"),
    }


@require_http_methods(["GET", "HEAD", "POST"])
@requires(CHANGE)
def add(request: HttpRequest) -> HttpResponse:
    form = ChannelForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        wanted = form.cleaned_data
        with refused_into(form, "address"):
            made = operations.add_channel(
                wanted["name"], ChannelKind(wanted["kind"]), wanted["address"], actor_of(request), timezone.now()
            )
            messages.success(request, f"{made.name} is added. It gets nothing without a subscription.")
            return redirect("alerts:channel", made.pk)
    return render(request, "alerts/channel_edit.html", {"form": form}, status=400 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(CHANGE)
def edit(request: HttpRequest, number: int) -> HttpResponse:
    channel = _channel(number)
    form = ChangeChannelForm(request.POST if request.method == "POST" else None, initial={"name": channel.name})
    if form.is_valid():
        wanted = form.cleaned_data
        with refused_into(form, "address"):
            changed = operations.change_channel(channel, wanted["name"], wanted["address"], actor_of(request))
            messages.success(request, f"Changed: {', '.join(changed)}." if changed else "Nothing was changed.")
            return redirect("alerts:channel", number)
    content = {"form": form, "channel": channel}
    return render(request, "alerts/channel_edit.html", content, status=400 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(CHANGE)
def switch(request: HttpRequest, number: int, on: bool) -> HttpResponse:
    channel = _channel(number)

    def act(reason: str) -> str:
        operations.switch(channel, on, actor_of(request), reason, timezone.now())
        return f"{channel.name} is {'on' if on else 'off'}."

    then = reverse("alerts:channel", args=[number])
    content: dict[str, object] = {"channel": channel, "on": on}
    return ask_and_do(request, act, template="alerts/channel_switch.html", then=then, content=content)


@require_POST
@requires(CHANGE)
def test(request: HttpRequest, number: int) -> HttpResponse:
    row = operations.send_test(_channel(number), actor_of(request), timezone.now())
    messages.success(request, "A test is queued and leaves within seconds; here is what becomes of it.")
    return redirect("alerts:message", row.pk)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(CHANGE)
def subscribe(request: HttpRequest, number: int) -> HttpResponse:
    channel = _channel(number)
    form = SubscriptionForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        operations.subscribe(channel, form.values(), actor_of(request))
        messages.success(request, f"{channel.name} is told of these from now on.")
        return redirect("alerts:channel", number)
    content = {"form": form, "channel": channel}
    return render(request, "alerts/subscribe.html", content, status=400 if form.errors else 200)


@require_POST
@requires(CHANGE)
def unsubscribe(request: HttpRequest, number: int) -> HttpResponse:
    subscription = get_object_or_404(Subscription.objects.select_related("channel"), pk=number)
    operations.unsubscribe(subscription, actor_of(request))
    messages.success(request, "The subscription is removed.")
    return redirect("alerts:channel", subscription.channel_id)
