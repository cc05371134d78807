"""The clock is silent: whoever notices says so, and sends it, since the clock, which sends everything else, cannot."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.dispatch import receiver

from monitoring.alerts.models import Alert
from monitoring.alerts.operations.delivery import deliver
from monitoring.alerts.operations.life import fire, open_subjects
from opsconsole.clock.watch import clock_silent
from opsconsole.words import utc

CLOCK_SILENT, SUBJECT = "clock_silent", "clock"


@receiver(clock_silent, dispatch_uid="alerts.clock_silent")
def tell_of_silence(now: datetime, since: datetime, **_: Any) -> None:
    """Every process that watches comes by here every ten seconds: one of them fires, one of them sends."""
    if SUBJECT not in open_subjects(CLOCK_SILENT):
        fire(
            CLOCK_SILENT,
            SUBJECT,
            title="No clock is running",
            now=now,
            seen={"silent_since": f"{utc(since)} UTC", "next": "Nothing happens by itself until a clock runs."},
        )
    deliver(now, only=Alert.objects.open().of(CLOCK_SILENT, SUBJECT).first())
