"""Which alerts there were in the last hours, and which of them are still open."""

from __future__ import annotations

from datetime import datetime

from django.urls import reverse

from monitoring.alerts.access import VIEW
from monitoring.alerts.models import Alert
from monitoring.alerts.models.alert import AlertState
from monitoring.alerts.types import Severity
from opsconsole.lately import MOST_LOOKED_AT, MOST_MENTIONED, Account, Mention, tells
from opsconsole.tones import Tone
from opsconsole.words import counted, duration

ORDER = 10


@tells("Alerts", VIEW, order=ORDER)
def alerts(since: datetime, until: datetime) -> Account:
    """One query, by the index of the newest. What belongs to an incident is told by the incident."""
    found = Alert.objects.filter(first_at__gte=since, first_at__lt=until, incident=None).order_by("-first_at", "-pk")
    opened = list(found[:MOST_LOOKED_AT])
    for alert in opened:
        alert.look(until)
    left = [alert for alert in opened if alert.resolved_at is None]
    return Account(
        _tone(opened, left),
        _sentence(opened, left),
        f"{reverse('alerts:alerts')}?state=all",
        [_mention(alert) for alert in sorted(opened, key=_badness)[:MOST_MENTIONED]],
    )


def _badness(alert: Alert) -> tuple[bool, int, bool]:
    return alert.resolved_at is not None, -alert.level.rank, alert.state is not AlertState.OPEN


def _tone(opened: list[Alert], left: list[Alert]) -> Tone:
    if any(alert.level is Severity.CRITICAL for alert in left):
        return Tone.PROBLEM
    return Tone.WAITING if left else Tone.ENDED if opened else Tone.FINE


def _sentence(opened: list[Alert], left: list[Alert]) -> str:
    if not opened:
        return "None was opened."
    if not left:
        return f"{counted(len(opened), 'alert')} opened, and over by now."
    nobody = sum(alert.state is AlertState.OPEN for alert in left)
    return f"{counted(len(opened), 'alert')} opened. Still open: {len(left):,}; acknowledged by nobody: {nobody:,}."


def _mention(alert: Alert) -> Mention:
    how = "over after" if alert.resolved_at else f"{alert.state.label.lower()}, for"
    text = f"{alert.title} ({how} {duration(alert.seconds)})"
    tone = Tone.ENDED if alert.resolved_at else alert.level.tone
    return Mention(text, reverse("alerts:alert", args=[alert.pk]), tone, alert.first_at)
