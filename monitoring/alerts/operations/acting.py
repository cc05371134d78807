"""What people do about alerts: acknowledge, mute, annotate, send again. Each is audited."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from monitoring.alerts.audience import scope_fits
from monitoring.alerts.models import About, Alert, AlertEvent, EventKind, Held, Mute, Notification, NotificationState
from monitoring.alerts.operations.telling import GIVE_UP_AFTER
from monitoring.alerts.types import type_of
from opsconsole import audit
from opsconsole.errors import UsageError
from opsconsole.words import utc

LONGEST = timedelta(days=90)
MOST_HELD = 10_000


@transaction.atomic
def acknowledge(alert: Alert, actor: audit.Actor, until: datetime, note: str, now: datetime) -> None:
    """Somebody has it, until a time. Nothing escalates until then. Raises UsageError where that cannot be."""
    require_ahead(until, now)
    row = _locked(alert)
    row.acknowledged_by, row.acknowledged_at, row.acknowledged_until = actor.name, now, until
    row.save(update_fields=["acknowledged_by", "acknowledged_at", "acknowledged_until"])
    _say(row, EventKind.ACKNOWLEDGED, actor, f"Until {utc(until)} UTC. {note}".strip(), now)
    audit.record(actor, "alert.acknowledged", subject_of(row), reason=note, until=until.isoformat())


@transaction.atomic
def take_back(alert: Alert, actor: audit.Actor, now: datetime) -> None:
    """Nobody has it any more. Raises UsageError where nobody had."""
    row = _locked(alert)
    if row.acknowledged_until is None:
        raise UsageError(f"Nobody has acknowledged alert {row.pk}.")
    row.acknowledged_until = None
    row.save(update_fields=["acknowledged_until"])
    _say(row, EventKind.UNACKNOWLEDGED, actor, "", now)
    audit.record(actor, "alert.unacknowledged", subject_of(row))


@transaction.atomic
def annotate(alert: Alert, actor: audit.Actor, text: str, now: datetime) -> None:
    """A line in its history, also after it is resolved."""
    _say(alert, EventKind.NOTE, actor, text, now)
    audit.record(actor, "alert.annotated", subject_of(alert), note=text)


@transaction.atomic
def mute(kind: str, scope: str, until: datetime, actor: audit.Actor, reason: str, now: datetime) -> Mute:
    """Nobody is told of these until then. What has not left yet is held back with them. Raises UsageError."""
    require_ahead(until, now)
    if kind:
        type_of(kind)
    made = Mute.objects.create(
        kind=kind, scope=scope, until=until, reason=reason, created_by=actor.name, created_at=now
    )
    audit.record(
        actor, "alerts.muted", f"mute:{made.pk}", reason=reason, kind=kind, scope=scope, until=until.isoformat()
    )
    for alert in _muted_by(made):
        # An owner's notice is no business of those who are tired of an alert.
        if Notification.objects.filter(alert=alert).exclude(about=About.NOTICE).withdraw():
            alert.held, alert.held_until = Held.MUTED, until
            alert.save(update_fields=["held", "held_until"])
            AlertEvent.objects.create(alert=alert, at=now, kind=EventKind.HELD, actor=actor.name, text="Muted")
    return made


@transaction.atomic
def lift(made: Mute, actor: audit.Actor, now: datetime) -> None:
    """End a mute early: what it held back is told. Raises UsageError where it is over."""
    if not Mute.objects.at(now).filter(pk=made.pk).update(lifted_at=now, lifted_by=actor.name):
        raise UsageError("This mute is over already.")
    held = [alert.pk for alert in _muted_by(made) if alert.held == Held.MUTED]
    Alert.objects.filter(pk__in=held).update(held_until=now)
    audit.record(actor, "alerts.unmuted", f"mute:{made.pk}")


@transaction.atomic
def send_again(row: Notification, actor: audit.Actor, now: datetime) -> None:
    """What was given up gets another day, with its own key. Raises UsageError for anything else."""
    dead = Notification.objects.filter(pk=row.pk, state=NotificationState.DEAD)
    again = {
        "state": NotificationState.QUEUED,
        "due_at": now,
        "give_up_at": now + GIVE_UP_AFTER,
        "ended_at": None,
        "attempts": 0,
    }
    if not dead.update(**again):
        raise UsageError(f"Message {row.pk} was not given up.")
    row.members.filter(state=NotificationState.DEAD).update(**again)
    audit.record(actor, "notification.sent_again", f"notification:{row.pk}", key=row.key)


def _muted_by(made: Mute) -> list[Alert]:
    of_kind = Alert.objects.open().filter(**({"kind": made.kind} if made.kind else {}))
    rows = of_kind.select_for_update().order_by("pk")[:MOST_HELD]
    return [alert for alert in rows if scope_fits(made.scope, alert.scope)]


def require_ahead(until: datetime, now: datetime) -> None:
    if not now < until <= now + LONGEST:
        raise UsageError(f"The time has to be after now, {utc(now)} UTC, and within {LONGEST.days} days.")


def _locked(alert: Alert) -> Alert:
    row = Alert.objects.select_for_update(of=("self",)).get(pk=alert.pk)
    if row.resolved_at is not None:
        raise UsageError(f"Alert {row.pk} is resolved already.")
    return row


def _say(alert: Alert, kind: EventKind, actor: audit.Actor, text: str, now: datetime) -> None:
    AlertEvent.objects.create(alert=alert, at=now, kind=kind, actor=actor.name, text=text)


def subject_of(alert: Alert) -> str:
    return f"alert:{alert.pk}"
