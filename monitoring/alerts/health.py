"""What `/healthz` asks of the outbox."""

from __future__ import annotations

from datetime import datetime, timedelta

from monitoring.alerts.models import Notification
from monitoring.alerts.operations.notices import oldest_due
from opsconsole.health import health_check
from opsconsole.restoring import is_held

SENDER_SILENT_AFTER = timedelta(seconds=90)
"""So that a sender that stopped is told within two minutes of a due notification."""


@health_check("notifications")
def notifications_leave(now: datetime) -> bool:
    """Whether nothing waits for long; with much to send, whether some of it was sent of late. Three queries at most.
    What is held after a restore is a check of its own."""
    oldest = oldest_due(now)
    if oldest is None or oldest <= SENDER_SILENT_AFTER or is_held():
        return True
    return Notification.objects.filter(last_attempt_at__gt=now - SENDER_SILENT_AFTER).exists()
