"""What becomes of a message after an attempt: delivered, tried again, given up. Only the attempt that holds it says."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from monitoring.alerts.backoff import delay
from monitoring.alerts.models import About, Notification, NotificationState
from monitoring.alerts.operations import failing
from monitoring.alerts.sending import Failure

LONGEST_ERROR = 1_000


@transaction.atomic
def settle_delivered(row: Notification, now: datetime) -> bool:
    """False: its lease was over, and another sends it again."""
    ended = {"state": NotificationState.DELIVERED, "delivered_at": now, "ended_at": now, "lease_until": None}
    if not Notification.objects.held(row.pk, row.attempts).update(**ended, last_error=""):
        return False
    if row.about == About.DIGEST:
        row.members.filter(state=NotificationState.SENDING).update(**ended)
    failing.works_again(row, now)
    return True


@transaction.atomic
def settle_untried(row: Notification) -> bool:
    """Its turn did not come in this round: it waits as it did, and that was no attempt."""
    back = {"state": NotificationState.QUEUED, "lease_until": None}
    if not Notification.objects.held(row.pk, row.attempts).update(**back, attempts=row.attempts - 1):
        return False
    row.members.filter(state=NotificationState.SENDING).update(**back)
    return True


@transaction.atomic
def settle_failed(row: Notification, failure: Failure, now: datetime, chance: float) -> bool:
    """Tried again with backoff up to its end; a permanent failure ends it at once. False: its lease was over."""
    held = Notification.objects.held(row.pk, row.attempts)
    said = failure.sentence[:LONGEST_ERROR]
    if failure.permanent or now >= row.give_up_at:
        return failing.give_up(held, row, said, now, bounced=failure.permanent)
    again = min(now + delay(row.attempts, chance), row.give_up_at)
    if not held.update(state=NotificationState.QUEUED, lease_until=None, due_at=again, last_error=said):
        return False
    row.members.filter(state=NotificationState.SENDING).update(
        state=NotificationState.QUEUED, lease_until=None, last_error=said
    )
    return True
