"""What is kept of runs and pings, and for how long: a job of every second makes thirty million rows a year."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from monitoring.schedules.models import Ping, Run, RunEvent

PER_ROUND = 5_000


def forget_old_runs(now: datetime) -> int:
    """Drop runs, with their logs, that ended too long ago. Returns how many. Looks at the oldest 5,000 and no more."""
    cutoff = now - timedelta(days=settings.RUNS_KEPT_DAYS)
    oldest = Run.objects.order_by("pk").values_list("pk", "ended_at")[:PER_ROUND]
    old = [pk for pk, ended in oldest if ended is not None and ended < cutoff]
    if not old:
        return 0
    with transaction.atomic():
        RunEvent.objects.filter(run__in=old).delete()
        Run.objects.filter(pk__in=old).delete()
    return len(old)


def forget_old_pings(now: datetime) -> int:
    """Drop pings that came too long ago; what they said of their monitor is in its state. Returns how many."""
    cutoff = now - timedelta(days=settings.PINGS_KEPT_DAYS)
    oldest = Ping.objects.order_by("pk").values_list("pk", "at", "folded")[:PER_ROUND]
    old = [pk for pk, at, folded in oldest if folded and at < cutoff]
    return Ping.objects.filter(pk__in=old).delete()[0] if old else 0
