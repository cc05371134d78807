"""The life of an alert: fired, fired again, resolved. All inside the caller's transaction, and safe to repeat."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from django.db import connection, transaction

from monitoring.alerts.incidents import CALM_AFTER
from monitoring.alerts.models import About, Alert, AlertEvent, EventKind, Held, Notification
from monitoring.alerts.operations import holding
from monitoring.alerts.operations.ends import tell_of_ends
from monitoring.alerts.operations.telling import tell_all
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
CLOSE = """
WITH over AS (
    SELECT alert.id, given.because, given.silently FROM alerts_alert AS alert
    JOIN jsonb_to_recordset(%(given)s::jsonb) AS given (kind text, subject text, because text, silently boolean)
        ON alert.kind = given.kind AND alert.subject = given.subject
    WHERE alert.resolved_at IS NULL ORDER BY alert.id FOR UPDATE OF alert
)
UPDATE alerts_alert AS alert
SET resolved_at = %(now)s, resolved_because = over.because, resolved_silently = over.silently
FROM over WHERE alert.id = over.id RETURNING alert.id
"""
"""Locks in the order of the numbers, so that two who close the same alerts do not wait for each other."""

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


@dataclass(frozen=True, slots=True)
class Ending:
    """Why it is over with `subject`, for people. `silently` is for what people switched off or paused: nobody hears
    that all is fine, and what has not left yet is not sent."""

    kind: str
    subject: str
    because: str
    silently: bool = False


def resolve(kind: str, subject: str, *, now: datetime, because: str, silently: bool = False) -> Alert | None:
    """`resolve_all` of one; None where nothing is open."""
    return next(iter(resolve_all([Ending(kind, subject, because, silently)], now)), None)


@transaction.atomic
def resolve_all(endings: Sequence[Ending], now: datetime) -> list[Alert]:
    """It is over with each subject: close its open alert, if there is one, and tell whoever was told. Returns those
    that were closed, the oldest first. At most eighteen statements for any number."""
    alerts = _close(endings, now) if endings else []
    if not alerts:
        return []
    AlertEvent.objects.bulk_create(
        AlertEvent(alert=alert, at=now, kind=EventKind.RESOLVED, text=alert.resolved_because) for alert in alerts
    )
    Notification.objects.filter(alert__in=alerts, about=About.NOTICE).withdraw()
    heard = _withdraw_unheard(alerts, now)
    holding.hold_all([one for one in heard if one.held == Held.FLAPPING], Held.FLAPPING, now + CALM_AFTER, now)
    tell_of_ends([one for one in heard if one.held != Held.FLAPPING], now)
    return alerts


def _close(endings: Sequence[Ending], now: datetime) -> list[Alert]:
    """Those that were open. Two statements, one where none was."""
    given = {(one.kind, one.subject): asdict(one) for one in reversed(endings)}
    with connection.cursor() as cursor:
        cursor.execute(CLOSE, {"now": now, "given": json.dumps(list(given.values()))})
        numbers = [number for (number,) in cursor.fetchall()]
    return list(Alert.objects.filter(pk__in=numbers).order_by("pk")) if numbers else []


def _withdraw_unheard(alerts: Sequence[Alert], now: datetime) -> list[Alert]:
    """Of what ended silently, or is muted, nothing leaves any more. Returns the others."""
    mutes = holding.Mutes({alert.kind for alert in alerts}, now)
    heard = [one for one in alerts if not one.resolved_silently and mutes.until(one.kind, one.scope) is None]
    audible = {alert.pk for alert in heard}
    Notification.objects.filter(alert__in=[one for one in alerts if one.pk not in audible]).withdraw()
    return heard


def open_subjects(kind: str) -> set[str]:
    """The subjects with an open alert of this kind. One query."""
    return set(Alert.objects.open().filter(kind=kind).values_list("subject", flat=True)[:MOST_OPEN])
