"""The outbox after a restore: what was delivered stays delivered, what waited is held until somebody has looked."""

from __future__ import annotations

from datetime import datetime

from monitoring.alerts.models import Notification
from opsconsole.restoring import Lost, Release, on_release, on_restore
from opsconsole.words import counted, number


@on_restore
def hold_messages(lost: Lost, now: datetime) -> list[str]:
    Notification.objects.free_sending(lost.since)  # it was due then, and has most likely been sent
    waiting = Notification.objects.waiting().count()
    return [f"Messages that waited then: {number(waiting)}. They are held until --release, and so are all new ones."]


@on_release
def let_go_of_messages(lost: Lost, which: Release, now: datetime) -> list[str]:
    """What was to be sent in the lost time is withdrawn: its receivers have it, as far as anybody can know."""
    waiting = Notification.objects.waiting()
    withdrawn = {
        Release.NEW: lambda: waiting.filter(created_at__lte=lost.since, due_at__lte=lost.until).withdraw(),
        Release.ALL: lambda: 0,
        Release.NONE: waiting.withdraw,
    }[which]()
    left = Notification.objects.waiting().count()
    return [f"{counted(withdrawn, 'message')} withdrawn; to leave now or when due: {number(left)}."]
