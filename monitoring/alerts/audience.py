"""Which subscriptions an alert concerns, and when each may be told. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

NO_TIME = timedelta(0)
CRITICAL = 2


@dataclass(frozen=True, slots=True)
class Quiet:
    """Quiet hours by the clock of `zone`; they may go over midnight."""

    begins: time
    ends: time
    zone: ZoneInfo

    def ends_at(self, now: datetime) -> datetime | None:
        """When they end, where `now` is within them; else None."""
        local = now.astimezone(self.zone)
        over_midnight = self.ends <= self.begins
        inside = (
            local.time() >= self.begins or local.time() < self.ends
            if over_midnight
            else self.begins <= local.time() < self.ends
        )
        if not inside or self.begins == self.ends:
            return None
        day = local.date() + timedelta(days=1 if local.time() >= self.ends else 0)
        return datetime.combine(day, self.ends, tzinfo=self.zone)


@dataclass(frozen=True, slots=True)
class Fact:
    """What of an alert decides whom it concerns. `rank` is its severity's, 2 the highest."""

    kind: str
    rank: int
    scope: str


@dataclass(frozen=True, slots=True)
class Interest:
    """A subscription. Empty `kinds` are all, `rank` is the least severity's, `after` above nothing is an escalation."""

    channel: int
    kinds: frozenset[str]
    rank: int
    scope: str
    after: timedelta = NO_TIME
    quiet: Quiet | None = None

    def concerns(self, fact: Fact) -> bool:
        kind_fits = not self.kinds or fact.kind in self.kinds
        return kind_fits and fact.rank >= self.rank and scope_fits(self.scope, fact.scope)


def scope_fits(wanted: str, scope: str) -> bool:
    """Empty: any; `eu-*`: what begins so; else exactly that one."""
    if not wanted:
        return True
    return scope.startswith(wanted[:-1]) if wanted.endswith("*") else scope == wanted


def told_at(interests: Iterable[Interest], fact: Fact, now: datetime) -> dict[int, datetime]:
    """The channels to be told at once, each with the earliest time. Quiet hours hold back nothing that is critical."""
    found: dict[int, datetime] = {}
    for interest in interests:
        if interest.after == NO_TIME and interest.concerns(fact):
            at = leaves_at(interest.quiet, fact, now)
            found[interest.channel] = min(at, found.get(interest.channel, at))
    return found


def leaves_at(quiet: Quiet | None, fact: Fact, now: datetime) -> datetime:
    if quiet is None or fact.rank >= CRITICAL:
        return now
    return quiet.ends_at(now) or now
