"""What is known of one tracked task: what its system says now, and what the console remembers of it. Plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

NO_TIME = timedelta(0)


class Trouble(StrEnum):
    """What can be wrong with a task for so long that its owner has to be told."""

    ABANDONED = "abandoned"
    IDLE = "idle"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the task's system says of it at one moment.

    `healthy` is whether it is healthy now. `created_at`, `last_healthy_at`, `last_data_at` and `changed_at` (the last
    change by a person) are None where they never were or nobody knows; `data_known` tells the two apart for data.
    `restarts` and `failures` are counters that only rise, or begin anew.
    """

    enabled: bool = True
    has_shards: bool = True
    healthy: bool = True
    created_at: datetime | None = None
    last_healthy_at: datetime | None = None
    last_data_at: datetime | None = None
    data_known: bool = True
    failures: int = 0
    restarts: int = 0
    changed_at: datetime | None = None
    owner: str = ""
    protected: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """The owner's warning. `length` is the time that it gives until disabling, None where it announces none; it is the
    policy's of the moment when the warning was made, and stays. `disable_at` is promised: the delivery plus the length.
    `reminded` is the last reminder, as the time before `disable_at` that it was due."""

    number: int
    owner: str
    length: timedelta | None
    made_at: datetime
    delivered_at: datetime | None = None
    reminded: timedelta | None = None

    @property
    def disable_at(self) -> datetime | None:
        if self.delivered_at is None or self.length is None:
            return None
        return self.delivered_at + self.length


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the console knows of a task from the looks before.

    `looked_at` is the last look that saw it. `healthy_since` begins the present clean stretch. `failing_since` is the
    end of the last health that lasted, None while there is such health; `quiet_since` the last time it moved data.
    `failing_unknown` is the part of the time since then in which nobody could see it, `quiet_uncounted` that in which
    nobody could or it was failing.
    `restarts_before` is the counter when it began to fail. `trouble` is what an alert is open for, `forced_at` when a
    person asked for that, before its time. `notices` counts the warnings ever made. `exempt` and `keep_until` are
    people's wishes.
    """

    first_seen_at: datetime
    looked_at: datetime
    enabled: bool = True
    enabled_since: datetime | None = None
    healthy_since: datetime | None = None
    failing_since: datetime | None = None
    failing_unknown: timedelta = NO_TIME
    quiet_since: datetime | None = None
    quiet_uncounted: timedelta = NO_TIME
    failures: int = 0
    restarts: int = 0
    restarts_before: int = 0
    trouble: Trouble | None = None
    trouble_since: datetime | None = None
    forced_at: datetime | None = None
    notice: Notice | None = None
    notices: int = 0
    exempt: bool = False
    keep_until: datetime | None = None

    def failing_for(self, now: datetime) -> timedelta:
        """How long it has been seen failing; nothing where it does not."""
        return NO_TIME if self.failing_since is None else now - self.failing_since - self.failing_unknown

    def quiet_for(self, now: datetime) -> timedelta:
        """How long it has been seen healthy and without moving data."""
        return NO_TIME if self.quiet_since is None else now - self.quiet_since - self.quiet_uncounted
