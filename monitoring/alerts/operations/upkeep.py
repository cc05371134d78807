"""What time does to alerts: escalations, acknowledgements that are over, incidents that are over."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from monitoring.alerts.audience import Interest
from monitoring.alerts.models import (
    About,
    Alert,
    AlertEvent,
    ChannelKind,
    EventKind,
    Notification,
    NotificationState,
    Subscription,
)
from monitoring.alerts.operations.holding import held_until, release
from monitoring.alerts.operations.life import Ending, resolve_all
from monitoring.alerts.operations.telling import Destination, fact_of, interest_of, quiet_until, tell
from opsconsole.clock.asking import Questions

PER_ROUND = 500


def escalate(now: datetime) -> int:
    """Tell the channels of escalations of what is open and unacknowledged for so long. Returns how many rows.

    One query for each escalation, and some for each alert that is told.
    """
    told = 0
    for subscription in _escalations().select_related("channel"):
        interest = interest_of(subscription)
        for alert in _to_escalate(subscription, interest, now):
            told += _escalate(alert, subscription, now)
    return told


def _escalations() -> QuerySet[Subscription]:
    return Subscription.objects.filter(after__gt=timedelta(0), channel__off_because="")


def _to_escalate(subscription: Subscription, interest: Interest, now: datetime) -> list[Alert]:
    """What this channel has not been told of. What its scope or severity leave out is sorted out here."""
    known = Notification.objects.filter(alert=OuterRef("pk"), channel=subscription.channel_id).exclude(
        state=NotificationState.WITHDRAWN
    )
    waiting = (
        Alert.objects.open()
        .filter(first_at__lte=now - subscription.after, held="")
        .exclude(acknowledged_until__gt=now)
        .exclude(Exists(known))
    )
    if interest.kinds:
        waiting = waiting.filter(kind__in=interest.kinds)
    return [alert for alert in waiting.order_by("first_at", "pk")[:PER_ROUND] if interest.concerns(fact_of(alert))]


@transaction.atomic
def _escalate(alert: Alert, subscription: Subscription, now: datetime) -> int:
    if not Alert.objects.open().filter(pk=alert.pk).select_for_update().exists():
        return 0
    channel = subscription.channel
    to = channel.address if channel.kind == ChannelKind.EMAIL else ""
    due_at = quiet_until(subscription, alert, now)
    return tell(alert, About.ESCALATED, now, to=[Destination(channel, to, due_at)])


def remind(now: datetime) -> int:
    """What was acknowledged until now and is still open is told again. Returns how many alerts."""
    with transaction.atomic():
        over = _acknowledged_until(now).order_by("acknowledged_until", "pk")
        alerts = list(over.select_for_update(skip_locked=True)[:PER_ROUND])
        for alert in alerts:
            again = f"{alert.acknowledged_until:%Y%m%d%H%M%S}"
            alert.acknowledged_until = None
            alert.save(update_fields=["acknowledged_until"])
            AlertEvent.objects.create(alert=alert, at=now, kind=EventKind.UNACKNOWLEDGED, text="Its time is over.")
            if not alert.held:
                tell(alert, About.STILL_OPEN, now, again=again)
    return len(alerts)


def _acknowledged_until(now: datetime) -> QuerySet[Alert]:
    return Alert.objects.open().filter(acknowledged_until__lte=now)


def end_incidents(now: datetime) -> int:
    """An incident of gathered alerts is over when none of them is open. Returns how many ended."""
    subjects = _incidents_over().order_by("pk").values_list("subject", flat=True)[:PER_ROUND]
    return len(
        resolve_all([Ending("incident", one, "Everything that belongs to it is over.") for one in subjects], now)
    )


def _incidents_over() -> QuerySet[Alert]:
    still_open = Alert.objects.open().filter(incident=OuterRef("pk"))
    had_some = Alert.objects.filter(incident=OuterRef("pk"))
    return Alert.objects.open().filter(Exists(had_some), ~Exists(still_open), kind="incident")


STEPS = {"held": release, "incidents": end_incidents, "acknowledged": remind, "escalations": escalate}
TO_DO = Questions(
    held=held_until,
    incidents=lambda now: _incidents_over(),
    acknowledged=_acknowledged_until,
    escalations=lambda now: _escalations(),
)


def let_time_pass(now: datetime) -> None:
    """One round of what is due. One statement where nothing is."""
    to_do = TO_DO(now)
    for name, step in STEPS.items():
        if name in to_do:
            step(now)
