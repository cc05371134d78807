"""When a message that could not be delivered is tried again. Pure."""

from __future__ import annotations

from datetime import timedelta

FIRST = timedelta(minutes=1)
LONGEST = timedelta(hours=1)
JITTER = 0.25
MOST_DOUBLINGS = 10


def delay(attempts: int, chance: float) -> timedelta:
    """The wait after so many attempts (1 or more): a minute, doubled each time up to an hour.

    `chance`, from 0 to 1, shortens it by up to a quarter, so that what failed together does not come back together;
    it is never shorter than a minute.
    """
    whole = min(LONGEST, FIRST * (1 << min(attempts - 1, MOST_DOUBLINGS)))
    return max(FIRST, whole * (1 - JITTER * chance))
