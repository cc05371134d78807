"""What becomes of due times that have passed: fired, caught up, or recorded with the reason why not. Pure.

A due time is on time while it is not older than `ON_TIME`; that one is fired whatever the policy. Older ones fell
into a downtime. A job that is not critical has missed them. A critical one is caught up within its recovery window
by its policy: `latest` runs the newest and records the others as coalesced, `all` runs up to a hundred, `skip` none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice, takewhile

from opsconsole.due import Every, Schedule
from opsconsole.estate.model import CatchUp

ON_TIME = timedelta(seconds=60)
"""As long as the clock's own beat may be late without that being a downtime."""

ONE_BY_ONE = 100
"""Due times of one downtime that are run, or recorded one by one; older ones are recorded as one counted range."""

MOST_COUNTED = 100_000
"""Due times of a cron expression that are counted; where there are more, the range says so."""

INSTANT = timedelta(microseconds=1)


class Fate(StrEnum):
    """What becomes of a due time."""

    FIRED = "fired"
    RECOVERED = "recovered"
    COALESCED = "coalesced"
    SKIPPED = "skipped"
    MISSED = "missed"
    TOO_OLD = "too_old"

    @property
    def runs(self) -> bool:
        return self in (Fate.FIRED, Fate.RECOVERED)


@dataclass(frozen=True, slots=True)
class Policy:
    """How a scheduled job wants its downtimes treated."""

    critical: bool
    catch_up: CatchUp
    recovery_window: timedelta


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of the due times from `first` to `last`: `count` of them, one where both are the same. Only ranges
    that do not run hold more than one; `at_least` where there are too many to be counted."""

    first: datetime
    last: datetime
    fate: Fate
    count: int = 1
    at_least: bool = False

    @classmethod
    def one(cls, due: datetime, fate: Fate) -> Decision:
        return cls(due, due, fate)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to write down, oldest first. `watermark` is the last due time decided; nothing before it comes again."""

    decisions: tuple[Decision, ...]
    watermark: datetime


def plan(schedule: Schedule, watermark: datetime, now: datetime, policy: Policy) -> Plan:
    """Decide every due time later than `watermark` and not later than `now`. In bounded time and memory."""
    late = now - ON_TIME - INSTANT
    too_old = min(now - policy.recovery_window - INSTANT, late)
    oldest = _passed(schedule, watermark, too_old)
    within = _passed(schedule, max(watermark, too_old), late)
    punctual = list(islice(_between(schedule, max(watermark, late), now), MOST_COUNTED))
    decisions = [
        *_not_run(oldest, Fate.TOO_OLD if policy.critical else Fate.MISSED),
        *_caught_up(within, policy, overtaken=bool(punctual)),
        *(Decision.one(due, Fate.FIRED) for due in punctual),
    ]
    return Plan(tuple(decisions), decisions[-1].last if decisions else watermark)


@dataclass(frozen=True, slots=True)
class _Passed:
    """Due times of a span: the newest one by one, and those before them as a range without a fate yet."""

    newest: tuple[datetime, ...] = ()
    before: tuple[datetime, datetime, int] | None = None
    at_least: bool = False


def _between(schedule: Schedule, after: datetime, upto: datetime) -> Iterator[datetime]:
    return takewhile(lambda due: due <= upto, schedule.after(after))


def _passed(schedule: Schedule, after: datetime, upto: datetime) -> _Passed:
    """The due times later than `after` and not later than `upto`."""
    if upto <= after:
        return _Passed()
    if isinstance(schedule, Every):
        return _passed_on_grid(schedule, after, upto)
    dues = list(islice(_between(schedule, after, upto), MOST_COUNTED + 1))
    if len(dues) > MOST_COUNTED:
        return _Passed(before=(dues[0], upto, MOST_COUNTED), at_least=True)
    old, newest = dues[:-ONE_BY_ONE], dues[-ONE_BY_ONE:]
    return _Passed(tuple(newest), (old[0], old[-1], len(old)) if old else None)


def _passed_on_grid(schedule: Every, after: datetime, upto: datetime) -> _Passed:
    """Counted, not walked: a week of seconds is as quick as a minute."""
    first, last = ((moment - schedule.anchor) // schedule.interval for moment in (after + schedule.interval, upto))
    begin = max(first, last - ONE_BY_ONE + 1)
    newest = tuple(schedule.at(step) for step in range(begin, last + 1))
    before = (schedule.at(first), schedule.at(begin - 1), begin - first) if begin > first else None
    return _Passed(newest, before)


def _not_run(passed: _Passed, fate: Fate) -> list[Decision]:
    before = [Decision(*passed.before[:2], fate, passed.before[2], passed.at_least)] if passed.before else []
    return [*before, *(Decision.one(due, fate) for due in passed.newest)]


def _caught_up(within: _Passed, policy: Policy, *, overtaken: bool) -> list[Decision]:
    """Due times inside the recovery window. `overtaken`: a later one is on time, and stands for them."""
    if not policy.critical:
        return _not_run(within, Fate.MISSED)
    if policy.catch_up is CatchUp.SKIP:
        return _not_run(within, Fate.SKIPPED)
    if policy.catch_up is CatchUp.ALL:
        decisions = _not_run(within, Fate.SKIPPED)
        return decisions[: -len(within.newest) or None] + [Decision.one(due, Fate.RECOVERED) for due in within.newest]
    decisions = _not_run(within, Fate.COALESCED)
    if overtaken or not within.newest:
        return decisions
    return [*decisions[:-1], Decision.one(within.newest[-1], Fate.RECOVERED)]
