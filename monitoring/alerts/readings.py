"""What the overview says of alerts: how many are open, and whether messages leave."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.urls import reverse

from monitoring.alerts.models import Alert, Channel, Notification, NotificationState
from monitoring.alerts.types import Severity
from opsconsole.clock.asking import Questions
from opsconsole.keyset import capped_count
from opsconsole.models import RestoreHold
from opsconsole.overview import Reading, overview_signal
from opsconsole.tones import Tone

FAILING_AFTER = timedelta(minutes=10)


@overview_signal("alerts", "Open alerts", order=70)
def open_alerts(now: datetime) -> Reading:
    """Three queries at most; one where no alert is open."""
    there = THERE(now)
    unheard = _unheard(now) if "unheard" in there else Alert.objects.none()
    total = capped_count(unheard)
    critical = capped_count(unheard.filter(severity=Severity.CRITICAL))
    trouble = _trouble(there)
    if trouble:
        tone, sentence = Tone.PROBLEM, trouble
    elif critical.value:
        tone, sentence = Tone.PROBLEM, f"{critical} critical that nobody has acknowledged."
    elif total.value:
        tone, sentence = Tone.WAITING, "None of them is critical, but nobody has acknowledged them."
    else:
        tone, sentence = Tone.FINE, "No alert is open that nobody has acknowledged."
    return Reading(
        float(total.value), str(total), tone, sentence, reverse("alerts:alerts"), limit="none", limit_value=0.0
    )


def _unheard(now: datetime) -> QuerySet[Alert]:
    return Alert.objects.open().exclude(acknowledged_until__gt=now)


def _failing(now: datetime) -> QuerySet[Notification]:
    return Notification.objects.filter(
        state=NotificationState.QUEUED, attempts__gt=0, created_at__lt=now - FAILING_AFTER
    )


THERE = Questions(
    unheard=_unheard,
    failing=_failing,
    off=lambda now: Channel.objects.exclude(off_because=""),
    held=lambda now: RestoreHold.objects.all(),
)


def _trouble(there: frozenset[str]) -> str:
    """Why messages do not leave; empty where they do."""
    if "held" in there:
        return "The database was restored, and nothing leaves until somebody has looked: look at the outbox."
    if "failing" in there:
        return "Messages cannot be delivered and are tried again: look at the outbox."
    return "A channel is off and gets nothing: look at the channels." if "off" in there else ""
