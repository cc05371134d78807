"""A mail to one person, such as a task's owner, outside of subscriptions; and how long the outbox is behind."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from monitoring.alerts.models import About, Alert, Notification
from monitoring.alerts.operations.telling import GIVE_UP_AFTER
from opsconsole.errors import UsageError
from sync.engine.values import Json


def queue_notice(
    *, key: str, template: str, context: Mapping[str, Json], to: str, now: datetime, alert: Alert | None = None
) -> Notification:
    """Queue a mail with this text (`monitoring.alerts.texts`) to this address. Idempotent by `key`: a second call
    returns the first row. With `alert` it tells of that one, and is taken back where that is over before it left.
    Inside the caller's transaction; raises UsageError without an address."""
    if not to:
        raise UsageError(f"The notice {key!r} has no address to go to.")
    row = Notification(
        key=key,
        alert=alert,
        to=to,
        about=About.NOTICE,
        template=template,
        context=dict(context),
        created_at=now,
        due_at=now,
        give_up_at=now + GIVE_UP_AFTER,
    )
    Notification.objects.bulk_create([row], ignore_conflicts=True)
    return Notification.objects.get(key=key)


def oldest_due(now: datetime) -> timedelta | None:
    """For how long the notification that waits longest could have left and has not; None where none waits. One query.

    What is retried after a failure is due anew with each attempt, so a destination that refuses does not count.
    """
    first = Notification.objects.due(now).order_by("due_at").values_list("due_at", flat=True).first()
    return None if first is None else now - first
