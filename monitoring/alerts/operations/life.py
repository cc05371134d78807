"""The life of an alert: fired, fired again, resolved. All inside the caller's transaction, and safe to repeat."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from django.db import connection, transaction

from monitoring.alerts.incidents import CALM_AFTER
from monitoring.alerts.models import About, Alert, AlertEvent, EventKind, Held, Notification, NotificationState
from monitoring.alerts.models.notification import TELLS_OF_OPENING
from monitoring.alerts.operations import holding
from monitoring.alerts.operations.telling import (
    Destination,
    context_of,
    destination_name,
    destinations_of,
    tell,
    tell_all,
)
from monitoring.alerts.types import Severity, type_of
from opsconsole.inserting import insert_new
from sync.engine.values import Json

COUNT_AGAIN = """
UPDATE alerts_alert AS alert SET count = count + 1, last_at = greatest(last_at, %(now)s), title = given.title,
    seen = given.seen, scope = given.scope, link = given.link, severity = given.severity, owner = given.owner,
    channels = given.channels
FROM jsonb_to_recordset(%(given)s::jsonb) AS given (
    kind text, subject text, title text, seen jsonb, scope text, link text, severity text, owner text, channels text[]
)
WHERE resolved_at IS NULL AND alert.kind = given.kind AND alert.subject = given.subject RETURNING alert.id
"""
GONE_OR_GOING = (NotificationState.DELIVERED, NotificationState.SENDING)
MOST_OPEN = 100_000


@dataclass(frozen=True, slots=True)
class Firing:
    """What is wrong with `subject`, as an alert says it. `channels` names channels to be told beside the subscriptions;
    without a severity it is the kind's own."""

    kind: str
    subject: str
    title: str
    seen: Mapping[str, Json] = field(default_factory=dict)
    scope: str = ""
    link: str = ""
    severity: Severity | None = None
    owner: str = ""
    channels: Sequence[str] = ()

    def values(self) -> dict[str, Any]:
        """Columns of the alert. Raises UsageError for a kind that there is not."""
        return {
            "kind": self.kind,
            "subject": self.subject,
            "title": self.title,
            "seen": dict(self.seen),
            "scope": self.scope,
            "link": self.link,
            "severity": (self.severity or type_of(self.kind).severity).value,
            "owner": self.owner,
            "channels": list(self.channels),
        }


def fire(kind: str, subject: str, *, title: str, now: datetime, **more: Any) -> Alert:
    """`fire_all` of one; `more` are fields of `Firing`."""
    return fire_all([Firing(kind, subject, title, **more)], now)[0]


@transaction.atomic
def fire_all(firings: Sequence[Firing], now: datetime) -> list[Alert]:
    """Something is wrong with each subject: open its alert, or count it again and refresh what was seen. In order.

    Opening writes history and outbox. About twenty statements for any number, some more for each scope with an
    incident and each subject that flaps. Raises UsageError for a kind that there is not.
    """
    if not firings:
        return []
    given = {(one.kind, one.subject): one.values() for one in firings}
    found = _count_again(given, now)
    opened = insert_new(
        [Alert(first_at=now, last_at=now, **values) for key, values in given.items() if key not in found]
    )
    found |= {(alert.kind, alert.subject): alert for alert in opened}
    if late := {key: values for key, values in given.items() if key not in found}:
        found |= _opened_elsewhere(late, now)
    AlertEvent.objects.bulk_create(
        AlertEvent(alert=alert, at=now, kind=EventKind.OPENED, text=alert.title) for alert in opened
    )
    _announce(opened, now)
    return [found[one.kind, one.subject] for one in firings]


Key: TypeAlias = tuple[str, str]


def _count_again(given: Mapping[Key, Mapping[str, Any]], now: datetime) -> dict[Key, Alert]:
    """Those of them that are open. One statement, and one more where some are."""
    with connection.cursor() as cursor:
        cursor.execute(COUNT_AGAIN, {"now": now, "given": json.dumps(list(given.values()))})
        numbers = [number for (number,) in cursor.fetchall()]
    rows = Alert.objects.filter(pk__in=numbers) if numbers else ()
    return {(alert.kind, alert.subject): alert for alert in rows}


def _opened_elsewhere(late: Mapping[Key, Mapping[str, Any]], now: datetime) -> dict[Key, Alert]:
    """Another detector opened them at this moment, and may have resolved them since."""
    found = _count_again(late, now)
    return found | {key: Alert.objects.of(*key).latest("pk") for key in late if key not in found}


def _announce(alerts: Sequence[Alert], now: datetime) -> None:
    """Tell of new alerts, unless something keeps them back."""
    if not alerts:
        return
    heard = _hold_muted(alerts, now)
    alone = _gather(heard, now)
    if alone:
        tell_all(holding.hold_flapping(alone, now), About.FIRED, now)


def _hold_muted(alerts: Sequence[Alert], now: datetime) -> list[Alert]:
    """Returns those that nothing mutes."""
    mutes = holding.Mutes({alert.kind for alert in alerts}, now)
    by_end: dict[datetime | None, list[Alert]] = defaultdict(list)
    for alert in alerts:
        by_end[mutes.until(alert.kind, alert.scope)].append(alert)
    heard = by_end.pop(None, [])
    for until, muted in by_end.items():
        if until is not None:
            holding.hold_all(muted, Held.MUTED, until, now)
    return heard


def _gather(alerts: Sequence[Alert], now: datetime) -> list[Alert]:
    """Those of a mass outage join its incident. Returns the others."""
    groups: dict[holding.Group, list[Alert]] = defaultdict(list)
    for alert in alerts:
        if alert.type.gathers:
            groups[alert.kind, alert.scope].append(alert)
    if not groups:
        return list(alerts)
    running = holding.running_incidents(groups, now)
    members = {group: groups[group] for group in running}
    begins = holding.beginning_incidents(groups.keys() - running.keys(), now)
    members |= {group: _together(groups[group], now) for group in begins}
    incidents = dict(running) | dict(
        zip(begins, fire_all([_incident(members[one]) for one in begins], now), strict=True)
    )
    for group, incident in incidents.items():
        holding.join(incident, members[group], now)
    gathered = {member.pk for group in members.values() for member in group}
    return [alert for alert in alerts if alert.pk not in gathered]


def _together(alerts: Sequence[Alert], now: datetime) -> list[Alert]:
    """These new ones of one type and scope, after those that began shortly before."""
    new = {alert.pk for alert in alerts}
    before = holding.members_of((alerts[0].kind, alerts[0].scope), now)
    return [*(alert for alert in before if alert.pk not in new), *alerts]


def _incident(members: Sequence[Alert]) -> Firing:
    last = members[-1]
    return Firing(
        "incident",
        holding.incident_subject((last.kind, last.scope)),
        title=holding.incident_title(last, len(members)),
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
