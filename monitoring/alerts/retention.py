"""What is kept of alerts and messages, and what else stays because an open alert points to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.db.models import Exists, Model, OuterRef
from django.urls import Resolver404, resolve

from monitoring.alerts.models import Alert, AlertEvent, Notification, NotificationState
from opsconsole.retention import ROWS_PER_STEP, Bounds, Portion, kind, points

ENDED = (NotificationState.DELIVERED, NotificationState.WITHDRAWN)
ALERTS_PER_STEP = 500
PARTS: Sequence[tuple[type[Model], str]] = ((Notification, "messages"), (AlertEvent, "lines of alerts' histories"))
SEEN = {"job": "jobs", "batch": "batches", "run": "runs"}
PAGES = {"sync:job": "jobs", "sync:batch": "batches", "schedules:run": "runs"}
"""What is seen in an alert, and which page it links to, by the kind of what is kept."""


@kind("notifications", "Messages that were delivered, or not needed", "NOTIFICATIONS_KEPT_DAYS")
def remove_notifications(bounds: Bounds, after: int) -> Portion:
    """What was given up stays until its alert goes, and what was said of an open alert until that is resolved."""
    columns = ("pk", "created_at", "ended_at", "state")
    found = list(Notification.objects.filter(pk__gt=after).order_by("pk").values_list(*columns)[:ROWS_PER_STEP])
    aged = [row for row in found if row[1] < bounds.before]
    ended = [number for number, made, at, state in aged if state in ENDED and (at or made) < bounds.before]
    said_of_open = Exists(Alert.objects.open().filter(pk=OuterRef("alert")))
    removed = Notification.objects.filter(~said_of_open, pk__in=ended, state__in=ENDED).delete()[1]
    rows = removed.get("alerts.Notification", 0)
    return Portion({"messages": rows}, found[-1][0] if aged and len(found) == ROWS_PER_STEP else None)


@kind("alerts", "Resolved alerts, with their history", "ALERTS_KEPT_DAYS")
def remove_alerts(bounds: Bounds, after: int) -> Portion:
    columns = ("pk", "first_at", "resolved_at")
    found = list(Alert.objects.filter(pk__gt=after).order_by("pk").values_list(*columns)[:ALERTS_PER_STEP])
    aged = [row for row in found if row[1] < bounds.before]
    old = [number for number, _, resolved_at in aged if resolved_at and resolved_at < bounds.before]
    removed: dict[str, int] = {}
    for model, what in PARTS:
        rows = model._default_manager
        some = rows.filter(alert__in=old).order_by("alert", "pk").values("pk")[:ROWS_PER_STEP]
        removed[what] = rows.filter(pk__in=some).delete()[0]
        if removed[what] >= ROWS_PER_STEP:
            return Portion(removed, after)
    removed["alerts"] = Alert.objects.filter(pk__in=old).delete()[1].get("alerts.Alert", 0)
    return Portion(removed, found[-1][0] if aged and len(found) == ALERTS_PER_STEP else None)


@points
def what_open_alerts_point_to() -> Iterator[tuple[str, int]]:
    """Jobs, batches and runs. One query."""
    for link, seen in Alert.objects.open().values_list("link", "seen").iterator():
        for name, what in SEEN.items():
            if isinstance(number := seen.get(name), int):
                yield what, number
        if (found := _page_of(link)) is not None:
            yield found


def _page_of(link: str) -> tuple[str, int] | None:
    try:
        match = resolve(link)
    except Resolver404:
        return None
    what, number = PAGES.get(match.view_name), match.kwargs.get("number")
    return (what, number) if what and isinstance(number, int) else None
