"""Digests: one message instead of many. Their members leave with them and share their end."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

from monitoring.alerts.models import About, Channel, Notification

DIGEST_TEXT = "alerts/messages/digest"
MOST_MEMBERS = 200
GIVE_UP_AFTER = timedelta(hours=24)


def open_digest(channel: Channel | None, to: str, due_at: datetime, now: datetime, *, again: str = "") -> Notification:
    """A new digest to this destination, without members yet."""
    return Notification.objects.create(
        key=":".join(filter(None, ("digest", again, uuid4().hex))),
        channel=channel,
        to=to,
        about=About.DIGEST,
        template=DIGEST_TEXT,
        created_at=now,
        due_at=due_at,
        give_up_at=due_at + GIVE_UP_AFTER,
    )
