"""What RQ has in Redis, and the rows that it carries, as plain values."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from django.db.models import TextChoices

MOST_READ = 1_000
"""Entries of one registry that are looked at, and changed, at once: the oldest."""


class Place(TextChoices):
    """Where RQ keeps an id, for each queue."""

    WAITING = "waiting", "Waiting"
    INTERMEDIATE = "intermediate", "Taken, not started"
    STARTED = "started", "Started"
    SCHEDULED = "scheduled", "Scheduled"
    DEFERRED = "deferred", "Deferred"
    FAILED = "failed", "Failed"
    FINISHED = "finished", "Finished"


PAST_PLACES = (Place.FAILED, Place.FINISHED)
"""What is over for RQ. The console's rows keep what became of it; these entries are only kept for a while."""

LIST_PLACES = (Place.WAITING, Place.INTERMEDIATE)
"""Lists in Redis; the others are sorted sets."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One id in one place. `member` is what Redis has there, byte by byte, which may be no text.

    `function` is empty where the message is gone or is not JSON; `since` is None where nobody knows. `worker` is the
    one that RQ says is at it, and `live` whether RQ knows that worker and it says the same.
    """

    queue: str
    place: Place
    member: bytes
    rq_id: str
    function: str = ""
    since: datetime | None = None
    worker: str = ""
    live: bool = False

    @property
    def readable(self) -> bool:
        return bool(self.function)


@dataclass(frozen=True, slots=True)
class Registry:
    """`entries` are the oldest ones of `count`."""

    queue: str
    place: Place
    count: int
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What RQ has. `workers` are the names of those that it knows."""

    registries: tuple[Registry, ...]
    workers: frozenset[str]


class Standing(Enum):
    """What a row wants of RQ: to be carried, to be left at work, or nothing any more."""

    WAITING = "waiting"
    AT_WORK = "at work"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Row:
    """A row whose number RQ carries. `what` says which it is, for people, `state` its state's label.

    `should_wait`: it is queued, for so long that its message must be there.
    """

    key: str
    what: str
    state: str
    standing: Standing
    worker: str = ""
    address: str = ""
    should_wait: bool = False


class Difference(TextChoices):
    LOST = "lost", "Queued, and RQ does not have it"
    ORPHAN = "orphan", "RQ has it, and there is no such row"
    ENDED = "ended", "RQ has it, and it has ended"
    AT_WORK = "at_work", "Waits in RQ, and is at work already"
    NOT_AT_WORK = "not_at_work", "Started for RQ, and nobody is at work on it"
    UNREADABLE = "unreadable", "Its message is gone or cannot be read"
    WORKER_UNKNOWN = "worker_unknown", "At work, and RQ does not know the worker"


@dataclass(frozen=True, slots=True)
class Found:
    """A difference: of an entry, of a row, or of both."""

    kind: Difference
    entry: Entry | None = None
    row: Row | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    differences: tuple[Found, ...]

    def entries(self) -> tuple[Entry, ...]:
        """Those that RQ should not have."""
        return tuple(found.entry for found in self.differences if found.entry)

    def lost(self) -> tuple[Row, ...]:
        return tuple(found.row for found in self.differences if found.kind is Difference.LOST and found.row)

    def of(self, entries: Collection[Entry]) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries() if entry in entries)
