"""What the tests of alerts share: channels, subscriptions, and what the outbox has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from monitoring.alerts.models import Alert, Channel, ChannelKind, Notification, Subscription
from monitoring.alerts.operations.life import fire

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1))


def channel(name: str = "team", address: str = "team@example.com", kind: str = ChannelKind.EMAIL) -> Channel:
    return Channel.objects.create(name=name, kind=kind, address=address, created_at=NOW, created_by="ann")


def subscribe(to: Channel, **fields: Any) -> Subscription:
    return Subscription.objects.create(channel=to, **fields)


def subscribed(name: str = "team", address: str = "team@example.com", **fields: Any) -> Channel:
    made = channel(name, address)
    subscribe(made, **fields)
    return made


def run_failed(subject: str = "job:nightly", now: datetime = NOW, **fields: Any) -> Alert:
    values: dict[str, Any] = {"title": "nightly failed", "now": now}
    return fire("run_failed", subject, **(values | fields))


def outbox(**filters: Any) -> list[tuple[str, str, str]]:
    """What it says, where to, and its state, in order."""
    rows = Notification.objects.filter(**filters).select_related("channel").order_by("pk")
    return [(row.about, row.channel.name if row.channel else row.to, row.state) for row in rows]
