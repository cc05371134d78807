"""The clock's beat: whoever leads renews its lease every five seconds, and leaves the time there."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models.functions import Now

from opsconsole.clock.lease import CLOCK
from opsconsole.models import Lease


def is_heard(within: timedelta) -> bool:
    """Whether a clock has given its sign within so long, by the database's time. One query."""
    return Lease.objects.filter(name=CLOCK, beat_at__gt=Now() - within).exists()


def last_beat() -> datetime | None:
    """When a clock last gave its sign; None where none ever did. One query."""
    return Lease.objects.filter(name=CLOCK).values_list("beat_at", flat=True).first()
