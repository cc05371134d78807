"""The life of an alert: fired, fired again, resolved. All inside the caller's transaction, and safe to repeat."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Greatest

from monitoring.alerts.incidents import CALM_AFTER
from monitoring.alerts.models import About, Alert, AlertEvent, EventKind, Held, Notification, NotificationState
from monitoring.alerts.models.notification import TELLS_OF_OPENING
from monitoring.alerts.operations import holding
from monitoring.alerts.operations.telling import Destination, context_of, destination_name, destinations_of, tell
from monitoring.alerts.types import Severity, type_of
from sync.engine.values import Json

GONE_OR_GOING = (NotificationState.DELIVERED, NotificationState.SENDING)
MOST_OPEN = 100_000


@transaction.atomic
def fire(  # noqa: PLR0913  (all but two by name: what an alert says is said here)
    kind: str,
    subject: str,
    *,
    title: str,
    now: datetime,
    seen: Mapping[str, Json] | None = None,
    scope: str = "",
    link: str = "",
    severity: Severity | None = None,
    owner: str = "",
    channels: Sequence[str] = (),
) -> Alert:
    """Something is wrong with `subject`: open its alert, or count it again and refresh what was seen.

    Opening writes history and outbox. `channels` names channels to be told beside the subscriptions. Raises UsageError
    for a kind that there is not.
    """
    level = severity or type_of(kind).severity
    values = {
        "title": title,
        "seen": dict(seen or {}),
        "scope": scope,
        "link": link,
        "severity": level,
        "owner": owner,
        "channels": list(channels),
    }
    again = _count_again(kind, subject, values, now)
    if again is not None:
        return again
    alert = Alert(kind=kind, subject=subject, first_at=now, last_at=now, **values)
    try:
        with transaction.atomic():
            alert.save()
    except IntegrityError:  # another detector opened it at this moment
        return _count_again(kind, subject, values, now) or Alert.objects.of(kind, subject).latest("pk")
    AlertEvent.objects.create(alert=alert, at=now, kind=EventKind.OPENED, text=title)
    _announce(alert, now)
    return alert


def _count_again(kind: str, subject: str, values: Mapping[str, object], now: datetime) -> Alert | None:
    open_one = Alert.objects.open().of(kind, subject)
    if not open_one.update(count=F("count") + 1, last_at=Greatest(F("last_at"), now), **values):
        return None
    return Alert.objects.open().of(kind, subject).first()


def _announce(alert: Alert, now: datetime) -> None:
    """Tell of a new alert, unless something keeps it back."""
    until = holding.muted_until(alert.kind, alert.scope, now)
    if until is not None:
        holding.hold(alert, Held.MUTED, until, now)
        return
    incident, members = holding.running_incident(alert, now), [alert]
    if incident is None and holding.begins_incident(alert, now):
        members = holding.members_of(alert, now)
        incident = _incident_of(members, now)
    if incident is not None:
        holding.join(incident, members, now)
        return
    if not holding.hold_where_flapping(alert, now):
        tell(alert, About.FIRED, now)


def _incident_of(members: Sequence[Alert], now: datetime) -> Alert:
    last = members[-1]
    return fire(
        "incident",
        holding.incident_subject(last),
        title=holding.incident_title(last, len(members)),
        now=now,
        seen={"type": last.type.label, "together": len(members), "first_ones": holding.titles(members)},
        scope=last.scope,
    )


@transaction.atomic
def resolve(kind: str, subject: str, *, now: datetime, because: str, silently: bool = False) -> Alert | None:
    """It is over: close the open alert, if there is one, and tell whoever was told. `because` says why, for people.

    `silently` is for what people switched off or paused: nobody hears that all is fine, and what has not left yet is
    not sent.
    """
    alert = Alert.objects.open().of(kind, subject).select_for_update(of=("self",)).first()
    if alert is None:
        return None
    alert.resolved_at, alert.resolved_because, alert.resolved_silently = now, because, silently
    alert.save(update_fields=["resolved_at", "resolved_because", "resolved_silently"])
    AlertEvent.objects.create(alert=alert, at=now, kind=EventKind.RESOLVED, text=because)
    alert.notifications.filter(about=About.NOTICE).withdraw()
    if silently or holding.muted_until(alert.kind, alert.scope, now) is not None:
        alert.notifications.withdraw()
    elif alert.held == Held.FLAPPING:
        holding.hold(alert, Held.FLAPPING, now + CALM_AFTER, now)
    else:
        _tell_of_end(alert, now)
    return alert


def _tell_of_end(alert: Alert, now: datetime) -> None:
    """Where the opening has not left, it becomes one message that says both; elsewhere the end follows it."""
    openings = alert.notifications.filter(about__in=TELLS_OF_OPENING).select_related("channel")
    by_destination: dict[str, list[Notification]] = defaultdict(list)
    for row in openings.select_for_update(of=("self",)).order_by("pk"):
        by_destination[destination_name(row.channel_id, row.to)].append(row)
    due = {one.name: one.due_at for one in destinations_of(alert, now)} if by_destination else {}
    told = []
    for name, rows in by_destination.items():
        waiting = [row for row in rows if row.state == NotificationState.QUEUED]
        if any(row.state in GONE_OR_GOING for row in rows):
            Notification.objects.filter(pk__in=[row.pk for row in waiting]).withdraw()
            told.append(Destination(rows[0].channel, rows[0].to, due.get(name, now)))
        elif waiting:
            _combine(alert, waiting[0], now)
            Notification.objects.filter(pk__in=[row.pk for row in waiting[1:]]).withdraw()
    if told:
        tell(alert, About.RESOLVED, now, to=told)


def _combine(alert: Alert, row: Notification, now: datetime) -> None:
    """A key of its own: an attempt that seemed to fail may have arrived, and its repetition would be dropped."""
    Notification.objects.filter(pk=row.pk).waiting().update(
        about=About.COMBINED, key=f"{row.key}:combined", context=context_of(alert, About.COMBINED, now)
    )


def open_subjects(kind: str) -> set[str]:
    """The subjects with an open alert of this kind. One query."""
    return set(Alert.objects.open().filter(kind=kind).values_list("subject", flat=True)[:MOST_OPEN])
