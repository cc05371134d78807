"""What keeps the console from disabling too much: a mass outage of a scope, and so many a day. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

LEAST, SHARE = 5, 0.25
TOGETHER = timedelta(minutes=5)
"""A mass outage: at least so many tasks of a scope, and such a share of them, began to fail within so long."""

DAY_AFTER = timedelta(days=1)
LONGEST_HELD = timedelta(days=7)
"""Alerts about tasks wait for the end of their scope's outage, but not longer than this."""


@dataclass(frozen=True, slots=True)
class Outage:
    """`ended_at` is None while it lasts."""

    began_at: datetime
    ended_at: datetime | None = None


def is_outage(together: int, total: int) -> bool:
    """Whether `together` tasks of a scope of `total` that began to fail within five minutes are a mass outage."""
    return together >= max(LEAST, SHARE * total)


def nothing_is_disabled(outage: Outage | None, now: datetime) -> bool:
    """During an outage, and the day after it."""
    return outage is not None and (outage.ended_at is None or now < outage.ended_at + DAY_AFTER)


def alerts_wait(outage: Outage | None, now: datetime) -> bool:
    """While the outage is the news; never for ever."""
    return nothing_is_disabled(outage, now) and outage is not None and now < outage.began_at + LONGEST_HELD


def daily_allowance(total: int, most: int, share: float) -> int:
    """How many tasks of a scope of `total` may be disabled within 24 hours: the lower of both limits, and one at least
    where the scope is so small that its share is less than a task. Zero only where `most` is."""
    return min(most, max(1, int(total * share)))
