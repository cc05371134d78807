"""What is told of the end of alerts: to those who heard of the opening, and in one message where it has not left."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from django.db import connection

from monitoring.alerts.models import About, Alert, Notification, NotificationState
from monitoring.alerts.models.notification import TELLS_OF_OPENING
from monitoring.alerts.operations.telling import Addresses, Destination, context_of, destination_name, tell_each

GONE_OR_GOING = (NotificationState.DELIVERED, NotificationState.SENDING)

COMBINE = """
UPDATE alerts_notification AS message SET about = %(about)s, key = message.key || ':combined', context = given.context
FROM jsonb_to_recordset(%(given)s::jsonb) AS given (id bigint, context jsonb)
WHERE message.id = given.id AND message.state = %(waiting)s
"""
"""A key of its own: an attempt that seemed to fail may have arrived, and its repetition would be dropped."""

ByName: TypeAlias = Mapping[str, Sequence[Notification]]
"""An alert's openings, by the name of their destination."""


def tell_of_ends(alerts: Sequence[Alert], now: datetime) -> None:
    """Where the opening has not left, it becomes one message that says both; elsewhere the end follows it. Nobody who
    was not told hears of it. At most eleven statements for any number."""
    openings = _openings(alerts)
    concerned = [alert for alert in alerts if alert.pk in openings]
    if not concerned:
        return
    unneeded, combined = [], []
    for alert in concerned:
        for rows in openings[alert.pk].values():
            waiting = [row for row in rows if row.state == NotificationState.QUEUED]
            both = waiting[:1] if not _has_left(rows) else []
            combined += [(alert, row) for row in both]
            unneeded += [row.pk for row in waiting[len(both) :]]
    Notification.objects.filter(pk__in=unneeded).withdraw()
    _combine(combined, now)
    _follow(concerned, openings, now)


def _openings(alerts: Sequence[Alert]) -> dict[int | None, ByName]:
    """Of each alert that somebody was to be told of, locked. One query."""
    rows = Notification.objects.filter(alert__in=alerts, about__in=TELLS_OF_OPENING).select_related("channel")
    found: dict[int | None, dict[str, list[Notification]]] = defaultdict(lambda: defaultdict(list))
    for row in rows.select_for_update(of=("self",)).order_by("pk"):
        found[row.alert_id][destination_name(row.channel_id, row.to)].append(row)
    return dict(found)


def _has_left(rows: Sequence[Notification]) -> bool:
    return any(row.state in GONE_OR_GOING for row in rows)


def _combine(combined: Sequence[tuple[Alert, Notification]], now: datetime) -> None:
    if not combined:
        return
    given = [{"id": row.pk, "context": context_of(alert, About.COMBINED, now)} for alert, row in combined]
    values = {"about": About.COMBINED, "waiting": NotificationState.QUEUED, "given": json.dumps(given)}
    with connection.cursor() as cursor:
        cursor.execute(COMBINE, values)


def _follow(alerts: Sequence[Alert], openings: Mapping[int | None, ByName], now: datetime) -> None:
    """The end, to whom the opening has left; when quiet hours are over."""
    told = {one.pk: {name: rows for name, rows in openings[one.pk].items() if _has_left(rows)} for one in alerts}
    heard = [alert for alert in alerts if told[alert.pk]]
    if not heard:
        return
    addresses = Addresses(heard, now)
    due = {alert.pk: {one.name: one.due_at for one in addresses.of(alert)} for alert in heard}
    tell_each(
        [
            (
                alert,
                [
                    Destination(rows[0].channel, rows[0].to, due[alert.pk].get(name, now))
                    for name, rows in told[alert.pk].items()
                ],
            )
            for alert in heard
        ],
        About.RESOLVED,
        now,
    )
