"""Looking at RQ's registries, cleaning them, and repairing what differs from the console's rows.

Everything that is removed is only a message: a row that still needs one gets it again, here or by the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from redis import Redis
from redis.exceptions import RedisError

from opsconsole import audit
from opsconsole.errors import UnavailableError, UsageError
from sync.registries import carriers, reading
from sync.registries.compare import compare
from sync.registries.values import LIST_PLACES, PAST_PLACES, Comparison, Entry, Place, Row, Snapshot, Standing

NEVER_USED_PLACES = (Place.SCHEDULED, Place.DEFERRED)
"""The console waits and retries by its rows: what stands there was put there by somebody else."""

NAMED_IN_AUDIT = 100


@dataclass(frozen=True, slots=True)
class Look:
    """What RQ has, the rows of it by key, and what differs. `waiting` are all ids that wait."""

    snapshot: Snapshot
    rows: Mapping[str, Row]
    comparison: Comparison
    waiting: frozenset[str]
    now: datetime


@dataclass(slots=True)
class Changed:
    """How many entries were removed where RQ should not have had them, and from the registries of what is over, and how
    many rows were pushed. `more`: a registry has more than are looked at at once."""

    removed: int = 0
    cleared: int = 0
    pushed: int = 0
    more: bool = False

    def sentence(self) -> str:
        more = " There are more: a thousand of each registry go at once, do it again." if self.more else ""
        return f"{self.removed:,} removed from RQ, {self.cleared:,} cleared away, {self.pushed:,} pushed again.{more}"


def look() -> Look:
    """Changes nothing. Raises UnavailableError."""
    try:
        with closing(reading.connect()) as connection:
            return _look(connection)
    except RedisError as error:
        raise UnavailableError(f"Redis cannot be reached, so nothing is known of RQ's registries: {error}.") from error


def _look(connection: Redis) -> Look:
    # Redis before the rows: a row is committed before its message is pushed, so a message without a row has none.
    snapshot = reading.read(connection)
    waiting = frozenset(reading.waiting_ids(connection))
    rows = carriers.rows_for({entry.rq_id for one in snapshot.registries for entry in one.entries})
    keys = {key for rq_id in waiting if not rq_id.startswith("sync-help-") and (key := carriers.key_of(rq_id))}
    now = timezone.now()
    return Look(snapshot, rows, compare(snapshot, rows, keys, carriers.key_of, now), waiting, now)


def repair(actor: audit.Actor, reason: str) -> Changed:
    """Remove what RQ should not have, empty its failed and finished registries, and push what it lost. Audited.

    Raises UnavailableError; what was done until then stays, and is audited.
    """

    def act(connection: Redis, changed: Changed, details: dict[str, Any]) -> None:
        seen = _look(connection)
        wrong = seen.comparison.entries()
        past = [entry for one in seen.snapshot.registries if one.place in PAST_PLACES for entry in one.entries]
        changed.more = any(one.count > len(one.entries) for one in seen.snapshot.registries)
        details["ids"] = [entry.rq_id for entry in wrong][:NAMED_IN_AUDIT]
        changed.removed = _remove(connection, wrong, seen)
        changed.cleared = _remove(connection, past, seen)
        lost = _look(connection).comparison.lost()  # those among them whose message was unreadable
        details["pushed_rows"] = [row.key for row in lost][:NAMED_IN_AUDIT]
        carriers.push(lost)
        changed.pushed = len(lost)

    return _audited(act, "registries.repaired", "registries", actor, reason)


def clean(queue: str, place: Place, actor: audit.Actor, reason: str) -> Changed:
    """Clean one registry: empty it where nothing in it is needed, else remove what differs from the rows. Audited.

    Raises UsageError, UnavailableError.
    """
    if queue not in settings.QUEUES:
        raise UsageError(f"There is no queue {queue!r}; there are {', '.join(settings.QUEUES)}.")

    def act(connection: Redis, changed: Changed, details: dict[str, Any]) -> None:
        seen = _look(connection)
        (registry,) = [one for one in seen.snapshot.registries if (one.queue, one.place) == (queue, place)]
        emptied = place in (*PAST_PLACES, *NEVER_USED_PLACES)
        entries = registry.entries if emptied else seen.comparison.of(registry.entries)
        details["ids"] = [entry.rq_id for entry in entries][:NAMED_IN_AUDIT]
        changed.more = registry.count > len(registry.entries)
        removed = _remove(connection, entries, seen)
        if emptied:
            changed.cleared = removed
        else:
            changed.removed = removed

    return _audited(act, "registry.cleaned", f"registry:{queue}:{place}", actor, reason)


def _audited(
    act: Callable[[Redis, Changed, dict[str, Any]], None], action: str, subject: str, actor: audit.Actor, reason: str
) -> Changed:
    """Redis has no part in a transaction: what it did is audited, also where it went away in the middle."""
    changed, details = Changed(), dict[str, Any]()
    try:
        with closing(reading.connect()) as connection:
            act(connection, changed, details)
    except RedisError as error:
        if details:
            _record(changed, details | {"error": str(error)}, action, subject, actor, reason)
        raise UnavailableError(f"Redis went away: {error}. {changed.sentence()} Do it again.") from error
    _record(changed, details, action, subject, actor, reason)
    return changed


def _record(
    changed: Changed, details: dict[str, Any], action: str, subject: str, actor: audit.Actor, reason: str
) -> None:
    details |= {"removed": changed.removed, "cleared": changed.cleared, "pushed": changed.pushed}
    with transaction.atomic():
        audit.record(actor, action, subject, reason=reason, **details)


def _remove(connection: Redis, entries: Collection[Entry], seen: Look) -> int:
    """Take entries out of their places, and the messages that are then nowhere. Returns how many were still there."""
    if not entries:
        return 0
    with connection.pipeline(transaction=False) as pipeline:
        for entry in entries:
            key = reading.key_of_place(entry.queue, entry.place)
            if entry.place in LIST_PLACES:
                pipeline.lrem(key, 1, entry.member)  # type: ignore[arg-type]
            else:
                pipeline.zrem(key, entry.member)
        found = pipeline.execute()
    removed = [entry for entry, count in zip(entries, found, strict=True) if count]
    with connection.pipeline(transaction=False) as pipeline:
        for entry in removed:
            if entry.place is Place.STARTED:
                pipeline.delete(reading.execution_key(entry.member))
        for rq_id in _nowhere_else(removed, seen):
            pipeline.delete(reading.message_key(rq_id))
        pipeline.execute()
    return len(removed)


def _nowhere_else(removed: Collection[Entry], seen: Look) -> set[bytes]:
    """Ids that only these entries named. A worker may be at one whose message also waits: it needs what is there."""
    gone = set(removed)
    kept = {entry.rq_id for one in seen.snapshot.registries for entry in one.entries if entry not in gone}
    waiting = seen.waiting - {entry.rq_id for entry in removed if entry.place is Place.WAITING}
    at_work = {entry.rq_id for entry in removed if (row := _row_of(entry, seen)) and row.standing is Standing.AT_WORK}
    kept |= waiting | at_work
    return {reading.id_in(entry) for entry in removed if entry.rq_id not in kept}


def _row_of(entry: Entry, seen: Look) -> Row | None:
    return seen.rows.get(carriers.key_of(entry.rq_id) or "")
