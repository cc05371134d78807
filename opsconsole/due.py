"""When a schedule is due: a cron expression in a time zone, or an interval. Pure; every moment is aware and in UTC.

Cron has the five classic fields and means what Debian's cron means by them (cronsim). Where clocks change, a fixed
local time that does not exist is due once, at the next instant that does, and one that comes twice is due the first
time only; what runs every few minutes or every hour goes on by elapsed time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from typing import Protocol
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

SHORTEST_INTERVAL = timedelta(seconds=1)
LONGEST_INTERVAL = timedelta(days=366)
CRON_FIELDS = 5
ANY_DAY = datetime(2026, 1, 1, tzinfo=UTC)
EXAMPLE = "'30 2 * * 1-5' is half past two, Monday to Friday"


class BadScheduleError(ValueError):
    """A schedule that cannot be used; the sentence says what is wrong and what is allowed."""


class Schedule(Protocol):
    """When something is due."""

    def after(self, moment: datetime) -> Iterator[datetime]:
        """The due times later than `moment`, in order; none where there is no next one."""
        ...

    def __str__(self) -> str:
        """As a person writes it."""
        ...

    @property
    def words(self) -> str:
        """As a person says it."""
        ...


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression, read in a time zone. Make one by `parse_cron`."""

    expression: str
    zone: ZoneInfo

    def after(self, moment: datetime) -> Iterator[datetime]:
        # cronsim ends silently where fifty years hold no match, and with an OverflowError where the calendar ends.
        with suppress(OverflowError):
            for local in CronSim(self.expression, moment.astimezone(self.zone)):
                due = local.astimezone(UTC)
                if due > moment:  # at the end of summer time it begins with the first of two equal local times
                    yield due

    def __str__(self) -> str:
        return f"{self.expression} ({self.zone.key})"

    @property
    def words(self) -> str:
        said: str = CronSim(self.expression, ANY_DAY).explain()
        return f"{said}, {self.zone.key}"


@dataclass(frozen=True, slots=True)
class Every:
    """Due every `interval` from `anchor` on: the grid stays where it is, however often the clock is started."""

    interval: timedelta
    anchor: datetime

    def after(self, moment: datetime) -> Iterator[datetime]:
        return map(self.at, count((moment - self.anchor) // self.interval + 1))

    def at(self, step: int) -> datetime:
        """The due time so many intervals after the anchor; negative steps lie before it."""
        return self.anchor + step * self.interval

    def __str__(self) -> str:
        return f"every {in_words(self.interval)}"

    @property
    def words(self) -> str:
        return f"Every {in_words(self.interval)}"


@dataclass(frozen=True, slots=True)
class After:
    """Due an interval after the moment asked from: for what is expected again so long after it was last heard of."""

    interval: timedelta

    def after(self, moment: datetime) -> Iterator[datetime]:
        return (moment + step * self.interval for step in count(1))

    def __str__(self) -> str:
        return f"{in_words(self.interval)} after the last ping"

    @property
    def words(self) -> str:
        return str(self)


def parse_cron(expression: str, zone: str) -> Cron:
    """A cron schedule that can be used. Raises BadScheduleError."""
    fields = expression.split()
    if len(fields) != CRON_FIELDS:
        raise BadScheduleError(
            f"'{expression}' has {len(fields)} fields; five are needed, minute hour day month weekday ({EXAMPLE}). "
            "For seconds, give an interval."
        )
    if zone not in available_timezones():
        raise BadScheduleError(f"'{zone}' is no time zone; names such as UTC or Europe/Paris are allowed.")
    try:
        CronSim(expression, ANY_DAY)
    except CronSimError as error:
        raise BadScheduleError(f"'{expression}' is no cron expression: {_reason(error)} ({EXAMPLE}).") from None
    return Cron(" ".join(fields), ZoneInfo(zone))


def _reason(error: CronSimError) -> str:
    """cronsim names the field that it cannot read."""
    field = str(error).removeprefix("Bad ")
    return f"the {field} is not valid" if field != str(error) else str(error).lower()


def parse_interval(interval: timedelta, anchor: datetime) -> Every:
    """An interval schedule that can be used. Raises BadScheduleError."""
    if not SHORTEST_INTERVAL <= interval <= LONGEST_INTERVAL:
        raise BadScheduleError(f"An interval of {in_words(interval)} is not possible: from 1 s to 366 days is allowed.")
    return Every(interval, anchor)


def upcoming(schedule: Schedule, now: datetime, number: int = 5) -> list[datetime]:
    """The next due times, for showing; fewer where there are no more."""
    return list(islice(schedule.after(now), number))


def next_due(schedule: Schedule, moment: datetime) -> datetime | None:
    """The first due time later than `moment`; None where there is none, and never will be."""
    return next(schedule.after(moment), None)


@dataclass(frozen=True, slots=True)
class Due:
    """A due time, for showing: in UTC, and as the clock on the wall of the schedule's zone has it."""

    at: datetime
    local: datetime

    @property
    def elsewhere(self) -> bool:
        """Whether the zone is another than UTC, so that both say something."""
        return self.local.tzname() != "UTC"

    def __str__(self) -> str:
        return f"{self.local:%a %Y-%m-%d %H:%M:%S %Z}"


_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def in_words(interval: timedelta) -> str:
    """An interval in its largest whole unit: "5 minutes", "90 seconds"."""
    seconds = interval.total_seconds()
    for size, name in _UNITS:
        number = seconds / size
        if number == int(number) and number != 0:
            return f"{int(number)} {name}{'' if number == 1 else 's'}"
    return f"{seconds:g} seconds"
