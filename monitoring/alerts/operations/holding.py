"""What keeps an alert from being told at once: a mute, an incident that stands for it, a subject that flaps.

Each hold has an end, and what is still open then is told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import TypeAlias

from django.db import transaction
from django.db.models import Count, F, QuerySet
from django.db.models.functions import Greatest

from monitoring.alerts.audience import scope_fits
from monitoring.alerts.incidents import CALM_AFTER, MEMBERS_HELD, WITHIN, is_flapping, is_incident, size_of
from monitoring.alerts.models import About, Alert, AlertEvent, EventKind, Held, Mute, Notification
from monitoring.alerts.operations.digests import open_digest
from monitoring.alerts.operations.telling import Destination, destinations_of, tell

PER_ROUND = 500
TITLES_SEEN = 10

Group: TypeAlias = tuple[str, str]
"""Type and scope: what gathers in one incident."""


def muted_until(kind: str, scope: str, now: datetime) -> datetime | None:
    """Until when nobody is told of alerts of this kind and scope; None where they are told. One query."""
    return Mutes((kind,), now).until(kind, scope)


class Mutes:
    """What mutes alerts of these kinds now. One query."""

    def __init__(self, kinds: Iterable[str], now: datetime) -> None:
        self._mutes = list(Mute.objects.at(now).filter(kind__in={"", *kinds}))

    def until(self, kind: str, scope: str) -> datetime | None:
        """Until when nobody is told of this kind and scope; None where they are told."""
        fitting = (mute for mute in self._mutes if mute.kind in ("", kind) and scope_fits(mute.scope, scope))
        return max((mute.until for mute in fitting), default=None)


def hold(alert: Alert, why: Held, until: datetime, now: datetime, said: str = "") -> None:
    """Hold an alert back, and say so in its history once for each reason."""
    hold_all([alert], why, until, now, said)


def hold_all(alerts: Sequence[Alert], why: Held, until: datetime, now: datetime, said: str = "") -> None:
    """Two statements for any number."""
    AlertEvent.objects.bulk_create(
        AlertEvent(alert=alert, at=now, kind=EventKind.HELD, text=said or why.label)
        for alert in alerts
        if alert.held != why
    )
    for alert in alerts:
        alert.held, alert.held_until = why, until
    Alert.objects.filter(pk__in=[alert.pk for alert in alerts]).update(held=why, held_until=until)


def changes_of(alerts: Sequence[Alert], now: datetime) -> Mapping[tuple[str, str], int]:
    """Openings and resolutions of each subject within the last hour, by kind and subject. One query."""
    events = AlertEvent.objects.filter(
        alert__kind__in={alert.kind for alert in alerts},
        alert__subject__in={alert.subject for alert in alerts},
        kind__in=(EventKind.OPENED, EventKind.RESOLVED),
        at__gt=now - timedelta(hours=1),
    )
    counted = events.order_by().values_list("alert__kind", "alert__subject").annotate(changes=Count("pk"))
    return {(kind, subject): changes for kind, subject, changes in counted}


def hold_flapping(alerts: Sequence[Alert], now: datetime) -> list[Alert]:
    """Say once of each that its subject flaps, then nothing of its changes until it is calm. Returns the others. One
    query for any number, and some for each that flaps."""
    changes = changes_of(alerts, now)
    calm = [alert for alert in alerts if not is_flapping(changes.get((alert.kind, alert.subject), 0))]
    steady = {alert.pk for alert in calm}
    for alert in alerts:
        if alert.pk not in steady:
            _hold_flapping(alert, changes[alert.kind, alert.subject], now)
    return calm


def _hold_flapping(alert: Alert, changes: int, now: datetime) -> None:
    before = Alert.objects.of(alert.kind, alert.subject).filter(held=Held.FLAPPING).exclude(pk=alert.pk)
    known = before.update(held="", held_until=None)
    hold(alert, Held.FLAPPING, now + CALM_AFTER, now, f"Flapping: {changes} changes within an hour.")
    if not known:
        tell(alert, About.FLAPPING, now)


def running_incidents(groups: Iterable[Group], now: datetime) -> Mapping[Group, Alert]:
    """The incident of each of these types and scopes that still grows. One query."""
    by_subject = {incident_subject(group): group for group in groups}
    growing = Alert.objects.open().filter(kind="incident", subject__in=by_subject, last_at__gt=now - WITHIN)
    return {by_subject[incident.subject]: incident for incident in growing}


def beginning_incidents(groups: Iterable[Group], now: datetime) -> list[Group]:
    """Where an incident begins with what is new. Two at this moment meet in the incident's own uniqueness.

    One query, and one for each scope where the least number is reached: how large it is.
    """
    wanted = set(groups)
    together = Alert.objects.filter(
        kind__in={kind for kind, _ in wanted}, scope__in={scope for _, scope in wanted}, first_at__gt=now - WITHIN
    )
    counted = together.order_by().values_list("kind", "scope").annotate(together=Count("pk"))
    many = {(kind, scope): count for kind, scope, count in counted if is_incident(count, None)}
    return [group for group in sorted(wanted & many.keys()) if is_incident(many[group], size_of(*group))]


def incident_subject(group: Group) -> str:
    kind, scope = group
    return f"{kind}:{scope}"


def incident_title(alert: Alert, count: int) -> str:
    where = f" in {alert.scope}" if alert.scope else ""
    return f"{count} at once{where}: {alert.type.label.lower()}"


def members_of(group: Group, now: datetime) -> list[Alert]:
    """What began together and belongs to no incident yet, the first ones first."""
    kind, scope = group
    together = Alert.objects.filter(kind=kind, scope=scope, first_at__gt=now - WITHIN, incident__isnull=True)
    return list(together.order_by("first_at", "pk")[:PER_ROUND])


def join(incident: Alert, members: Sequence[Alert], now: datetime) -> None:
    """Hold these back for the incident; what has not left of theirs is told with its digest. Five statements."""
    numbers = [member.pk for member in members]
    Notification.objects.filter(alert__in=numbers, about=About.FIRED).withdraw()
    hold_all(members, Held.INCIDENT, now + MEMBERS_HELD, now, f"Part of incident {incident.pk}.")
    Alert.objects.filter(pk__in=numbers).update(incident=incident)
    Alert.objects.filter(pk=incident.pk).update(last_at=Greatest(F("last_at"), now))


def titles(members: Iterable[Alert]) -> str:
    return "; ".join(member.title for member in islice(members, TITLES_SEEN))


def held_until(now: datetime) -> QuerySet[Alert]:
    return Alert.objects.exclude(held="").filter(held_until__lte=now)


def release(now: datetime) -> int:
    """Tell what was held back and is over its time. Returns how many alerts. One transaction for five hundred."""
    with transaction.atomic():
        alerts = list(
            held_until(now).order_by("held_until", "pk").select_for_update(of=("self",), skip_locked=True)[:PER_ROUND]
        )
        digests: dict[str, Notification] = {}
        by_reason: dict[str, list[Alert]] = defaultdict(list)
        for alert in alerts:
            by_reason[alert.held].append(alert)
        for alert in by_reason[Held.MUTED]:
            _release_muted(alert, now)
        for alert in by_reason[Held.FLAPPING]:
            _release_flapping(alert, now)
        for alert in by_reason[Held.INCIDENT]:
            _release_member(alert, digests, now)
    return len(alerts)


def _free(alert: Alert, now: datetime) -> None:
    alert.held, alert.held_until = "", None
    Alert.objects.filter(pk=alert.pk).update(held="", held_until=None)
    if alert.resolved_at is None:
        AlertEvent.objects.create(alert=alert, at=now, kind=EventKind.RELEASED)


def _release_muted(alert: Alert, now: datetime) -> None:
    until = muted_until(alert.kind, alert.scope, now)
    if until is not None and alert.resolved_at is None:
        hold(alert, Held.MUTED, until, now)
        return
    _free(alert, now)
    if alert.resolved_at is None:
        tell(alert, About.FIRED, now)


def _release_flapping(alert: Alert, now: datetime) -> None:
    """Calm for an hour: how it stands is told once."""
    _free(alert, now)
    if not alert.resolved_silently:
        tell(alert, About.RESOLVED if alert.resolved_at else About.STILL_OPEN, now, again="calm")


def _release_member(alert: Alert, digests: dict[str, Notification], now: datetime) -> None:
    """As a part of one digest for each destination, those that are resolved by now, too."""
    _free(alert, now)
    if alert.resolved_silently or muted_until(alert.kind, alert.scope, now) is not None:
        return
    told = {(row.channel_id, row.to) for row in alert.notifications.exclude(state="withdrawn")}
    new = [one for one in destinations_of(alert, now) if _pair(one) not in told]
    for one in new:
        if one.name not in digests:
            digests[one.name] = open_digest(one.channel, one.to, now, now, again=f"incident:{alert.incident_id}")
    tell(alert, About.COMBINED if alert.resolved_at else About.FIRED, now, to=new, again="member", digests=digests)


def _pair(one: Destination) -> tuple[int | None, str]:
    return (one.channel.pk if one.channel else None, one.to)
