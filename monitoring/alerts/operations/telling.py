"""Who is told of an alert, and the rows of the outbox that say so. Called inside the transaction of the cause."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Q

from monitoring.alerts.audience import NO_TIME, Fact, Interest, Quiet, leaves_at, told_at
from monitoring.alerts.models import (
    About,
    Alert,
    AlertEvent,
    Channel,
    ChannelKind,
    EventKind,
    Notification,
    NotificationState,
    Subscription,
)
from monitoring.alerts.types import Audience, Severity
from opsconsole.access import Role
from opsconsole.inserting import insert_new
from opsconsole.models import User
from opsconsole.words import duration, utc

GIVE_UP_AFTER = timedelta(hours=24)
TEXT = "alerts/messages/alert"
MOST_OPERATORS = 50
SHOWN_NAMES = 10


@dataclass(frozen=True, slots=True)
class Destination:
    """A channel, or an e-mail address where `channel` is None. `name` is what an alert of its failing is about."""

    channel: Channel | None
    to: str
    due_at: datetime

    @property
    def name(self) -> str:
        return destination_name(self.channel.pk if self.channel else None, self.to)

    @property
    def label(self) -> str:
        return self.channel.name if self.channel else self.to


def destination_name(channel_id: int | None, to: str) -> str:
    return f"channel:{channel_id}" if channel_id else f"mail:{to.lower()}"


def fact_of(alert: Alert) -> Fact:
    return Fact(alert.kind, alert.level.rank, alert.scope)


def interest_of(subscription: Subscription) -> Interest:
    quiet = None
    if subscription.quiet_from is not None and subscription.quiet_to is not None:
        quiet = Quiet(subscription.quiet_from, subscription.quiet_to, ZoneInfo(subscription.zone))
    return Interest(
        subscription.channel_id,
        frozenset(subscription.kinds),
        Severity(subscription.least).rank,
        subscription.scope,
        subscription.after,
        quiet,
    )


class Addresses:
    """Who is to be told of each of these alerts. Two queries for all of them; one more where operators are told."""

    def __init__(self, alerts: Sequence[Alert], now: datetime) -> None:
        self._now = now
        interests = [interest_of(one) for one in Subscription.objects.filter(channel__off_because="", after=NO_TIME)]
        self._at = {alert.pk: told_at(interests, fact_of(alert), now) for alert in alerts}
        numbers = {number for at in self._at.values() for number in at}
        names = {name for alert in alerts for name in alert.channels}
        wanted = Channel.objects.filter(Q(pk__in=numbers) | Q(name__in=names), off_because="")
        self._channels = list(wanted.order_by("pk"))

    def of(self, alert: Alert) -> list[Destination]:
        """Everybody to be told at once."""
        found = list(self._channels_of(alert))
        if alert.type.audience is Audience.OWNER and "@" in alert.owner:
            found.append(Destination(None, alert.owner, self._now))
        failing = alert.subject if alert.kind == "delivery_failing" else None
        found = [one for one in found if one.name != failing]
        reached_by_notice = alert.type.audience is Audience.OWNER_BY_NOTICE and "@" in alert.owner
        if alert.type.audience is Audience.OPERATORS or not (found or reached_by_notice):
            mailed = {one.to.lower() for one in found if one.to}
            found += [
                Destination(None, address, self._now)
                for address in self._operators
                if address.lower() not in mailed and destination_name(None, address) != failing
            ]
        return found

    def _channels_of(self, alert: Alert) -> Iterator[Destination]:
        at, named = self._at[alert.pk], set(alert.channels)
        for channel in self._channels:
            if channel.pk in at or channel.name in named:
                yield Destination(channel, _address(channel), at.get(channel.pk, self._now))

    @cached_property
    def _operators(self) -> list[str]:
        return operators()


def destinations_of(alert: Alert, now: datetime) -> list[Destination]:
    """Everybody to be told at once. Two queries; one more where operators are told."""
    return Addresses([alert], now).of(alert)


def _address(channel: Channel) -> str:
    return channel.address if channel.kind == ChannelKind.EMAIL else ""


def operators() -> list[str]:
    """The addresses of ALERT_OPERATORS; without it, of everybody who is an operator or an administrator."""
    if settings.ALERT_OPERATORS:
        return list(settings.ALERT_OPERATORS)
    people = User.objects.filter(is_active=True, groups__name__in=[Role.OPERATOR.value, Role.ADMINISTRATOR.value])
    addresses = people.exclude(email="").order_by("email").values_list("email", flat=True)
    return list(addresses.distinct()[:MOST_OPERATORS])


def tell(
    alert: Alert,
    about: About,
    now: datetime,
    *,
    to: Iterable[Destination] | None = None,
    again: str = "",
    digests: dict[str, Notification] | None = None,
) -> int:
    """One row for each destination (None: everybody concerned), and a line in the history. Returns how many.

    Idempotent by alert, `about`, destination and `again`, which tells apart what may be said more than once. With
    `digests`, by destination's name, a row leaves as a part of that one.
    """
    destinations = destinations_of(alert, now) if to is None else list(to)
    return tell_each([(alert, destinations)], about, now, again, digests)


def tell_all(alerts: Sequence[Alert], about: About, now: datetime) -> int:
    """`tell` for many, to everybody concerned: six statements for any number."""
    if not alerts:
        return 0
    addresses = Addresses(alerts, now)
    return tell_each([(alert, addresses.of(alert)) for alert in alerts], about, now)


def tell_each(
    told: Sequence[tuple[Alert, Sequence[Destination]]],
    about: About,
    now: datetime,
    again: str = "",
    digests: Mapping[str, Notification] | None = None,
) -> int:
    """`tell` for many, each to its own destinations: four statements for any number."""
    parts = digests or {}
    rows = [_row(alert, about, one, now, again, parts.get(one.name)) for alert, to in told for one in to]
    new = insert_new(rows)
    known = {row.key: row for row in rows} if len(new) < len(rows) else {}
    taken_back = Notification.objects.filter(key__in=known, state=NotificationState.WITHDRAWN)
    queued = sum(_queue_again(known[key]) for key in list(taken_back.values_list("key", flat=True))) if known else 0
    AlertEvent.objects.bulk_create(
        AlertEvent(alert=alert, at=now, kind=EventKind.TOLD, text=_said(about, to)) for alert, to in told
    )
    return len(new) + queued


def _queue_again(row: Notification) -> int:
    """What was taken back before it left, and is to be told after all."""
    return Notification.objects.filter(key=row.key, state=NotificationState.WITHDRAWN).update(
        state=NotificationState.QUEUED,
        context=row.context,
        due_at=row.due_at,
        give_up_at=row.give_up_at,
        digest=row.digest,
    )


def _said(about: About, destinations: Sequence[Destination]) -> str:
    names = [one.label for one in destinations]
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return f"{about.label}: {', '.join(names[:SHOWN_NAMES])}{more}" if names else "Nobody is there to be told."


def _row(
    alert: Alert, about: About, one: Destination, now: datetime, again: str, digest: Notification | None
) -> Notification:
    return Notification(
        key=":".join(filter(None, (f"alert:{alert.pk}", about.value, again, one.name))),
        alert=alert,
        channel=one.channel,
        to=one.to,
        about=about,
        template=TEXT,
        context=context_of(alert, about, now),
        critical=alert.level is Severity.CRITICAL,
        created_at=now,
        due_at=one.due_at,
        give_up_at=max(now, one.due_at) + GIVE_UP_AFTER,
        digest=digest,
    )


def context_of(alert: Alert, about: About, now: datetime) -> dict[str, Any]:
    """What the text is rendered with, as it stands now. JSON. `seen` keeps its order; `next` stands apart."""
    seen = {name: value for name, value in alert.seen.items() if name != "next" and value not in ("", None)}
    return {
        "about": about.value,
        "about_label": about.label,
        "kind": alert.kind,
        "label": alert.type.label,
        "severity": alert.severity,
        "severity_label": alert.level.label,
        "title": alert.title,
        "scope": alert.scope,
        "since": utc(alert.first_at),
        "lasted": duration(((alert.resolved_at or now) - alert.first_at).total_seconds()),
        "count": alert.count,
        "seen": [[name.replace("_", " ").capitalize(), value] for name, value in seen.items()],
        "next": alert.seen.get("next", ""),
        "advice": alert.type.advice,
        "link": alert.link,
        "alert": alert.pk,
        "resolved": utc(alert.resolved_at) if alert.resolved_at else "",
        "because": alert.resolved_because,
    }


def quiet_until(subscription: Subscription, alert: Alert, now: datetime) -> datetime:
    """When this subscription's channel may be told."""
    return leaves_at(interest_of(subscription).quiet, fact_of(alert), now)
