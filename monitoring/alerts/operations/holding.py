"""What keeps an alert from being told at once: a mute, an incident that stands for it, a subject that flaps.

Each hold has an end, and what is still open then is told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import islice

from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Greatest

from monitoring.alerts.audience import scope_fits
from monitoring.alerts.incidents import CALM_AFTER, MEMBERS_HELD, WITHIN, is_flapping, is_incident, size_of
from monitoring.alerts.models import About, Alert, AlertEvent, EventKind, Held, Mute, Notification
from monitoring.alerts.operations.digests import open_digest
from monitoring.alerts.operations.telling import Destination, destinations_of, tell

PER_ROUND = 500
TITLES_SEEN = 10


def muted_until(kind: str, scope: str, now: datetime) -> datetime | None:
    """Until when nobody is told of alerts of this kind and scope; None where they are told. One query."""
    mutes = Mute.objects.at(now).filter(kind__in=("", kind))
    return max((mute.until for mute in mutes if scope_fits(mute.scope, scope)), default=None)


def hold(alert: Alert, why: Held, until: datetime, now: datetime, said: str = "") -> None:
    """Hold an alert back, and say so in its history once for each reason."""
    if alert.held != why:
        AlertEvent.objects.create(alert=alert, at=now, kind=EventKind.HELD, text=said or why.label)
    alert.held, alert.held_until = why, until
    Alert.objects.filter(pk=alert.pk).update(held=why, held_until=until)


def changes_of(alert: Alert, now: datetime) -> int:
    """Openings and resolutions of its subject within the last hour."""
    same = Alert.objects.of(alert.kind, alert.subject)
    changes = AlertEvent.objects.filter(
        alert__in=same, kind__in=(EventKind.OPENED, EventKind.RESOLVED), at__gt=now - timedelta(hours=1)
    )
    return changes.count()


def hold_where_flapping(alert: Alert, now: datetime) -> bool:
    """Say once that its subject flaps, then nothing of its changes until it is calm. True: it flaps."""
    changes = changes_of(alert, now)
    if not is_flapping(changes):
        return False
    before = Alert.objects.of(alert.kind, alert.subject).filter(held=Held.FLAPPING).exclude(pk=alert.pk)
    known = before.update(held="", held_until=None)
    hold(alert, Held.FLAPPING, now + CALM_AFTER, now, f"Flapping: {changes} changes within an hour.")
    if not known:
        tell(alert, About.FLAPPING, now)
    return True


def running_incident(alert: Alert, now: datetime) -> Alert | None:
    """The incident of its type and scope that still grows. One query for a type that gathers, none for others."""
    if not alert.type.gathers:
        return None
    return Alert.objects.open().of("incident", incident_subject(alert)).filter(last_at__gt=now - WITHIN).first()


def begins_incident(alert: Alert, now: datetime) -> bool:
    """Whether an incident begins with this new alert. Two at this moment meet in the incident's own uniqueness.

    At most two queries: the size of a scope is asked for only where the least number is reached.
    """
    if not alert.type.gathers:
        return False
    together = Alert.objects.filter(kind=alert.kind, scope=alert.scope, first_at__gt=now - WITHIN).count()
    return is_incident(together, None) and is_incident(together, size_of(alert.kind, alert.scope))


def incident_subject(alert: Alert) -> str:
    return f"{alert.kind}:{alert.scope}"


def incident_title(alert: Alert, count: int) -> str:
    where = f" in {alert.scope}" if alert.scope else ""
    return f"{count} at once{where}: {alert.type.label.lower()}"


def members_of(alert: Alert, now: datetime) -> list[Alert]:
    """What began together with this alert and belongs to no incident yet, the first ones first."""
    together = Alert.objects.filter(
        kind=alert.kind, scope=alert.scope, first_at__gt=now - WITHIN, incident__isnull=True
    )
    return list(together.order_by("first_at", "pk")[:PER_ROUND])


def join(incident: Alert, members: Iterable[Alert], now: datetime) -> None:
    """Hold these back for the incident; what has not left of theirs is told with its digest."""
    for member in members:
        Notification.objects.filter(alert=member, about=About.FIRED).withdraw()
        hold(member, Held.INCIDENT, now + MEMBERS_HELD, now, f"Part of incident {incident.pk}.")
        Alert.objects.filter(pk=member.pk).update(incident=incident)
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
