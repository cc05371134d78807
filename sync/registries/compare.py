"""What differs between RQ and the console's rows. Pure.

The rows are the truth. A message of which nobody knows whether it is needed stays: one too many costs a claim that is
lost, and one too few comes back by the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime, timedelta

from sync.registries.values import PAST_PLACES, Comparison, Difference, Entry, Found, Place, Row, Snapshot, Standing

GRACE = timedelta(seconds=30)
"""How long a message may be between the queue and its job: the worker's sign of life lasts as long."""

KeyOf = Callable[[str], str | None]


def compare(
    snapshot: Snapshot, rows: Mapping[str, Row], waiting: Collection[str], key_of: KeyOf, now: datetime
) -> Comparison:
    """`rows` are those of all ids in `snapshot`, and those that RQ should have, by key; `waiting` are the keys of all
    messages that wait, also beyond those which the snapshot lists. Rows must have been read after the snapshot.
    """
    entries = [entry for one in snapshot.registries if one.place not in PAST_PLACES for entry in one.entries]
    of_entries = list(_of_entries(entries, rows, key_of, now))
    wrong = {found.entry for found in of_entries}
    carried = {key_of(entry.rq_id) for entry in entries if entry not in wrong and (_wanted(entry) or entry.live)}
    unread = {key_of(found.entry.rq_id) for found in of_entries if found.entry and _wanted(found.entry)}
    present = carried | (set(waiting) - unread)
    lost = [Found(Difference.LOST, row=row) for key, row in rows.items() if row.should_wait and key not in present]
    return Comparison((*lost, *of_entries, *_unknown_workers(snapshot, rows)))


def _wanted(entry: Entry) -> bool:
    """Whether it is the message that makes its row run."""
    return entry.place is Place.WAITING and not entry.rq_id.startswith("sync-help-")


def _of_entries(entries: Collection[Entry], rows: Mapping[str, Row], key_of: KeyOf, now: datetime) -> Iterator[Found]:
    for entry in entries:
        row = rows.get(key_of(entry.rq_id) or "")
        if kind := difference_of(entry, row, now):
            yield Found(kind, entry, row)


def difference_of(entry: Entry, row: Row | None, now: datetime) -> Difference | None:
    """What is wrong with an entry of a registry that is not over; None for nothing. Pure.

    One that a known worker says it is at is that worker's, whatever its row says: it may be at work on others that it
    took along.
    """
    if entry.live:
        return None
    if row is None:
        return Difference.ORPHAN
    if row.standing is Standing.ENDED:
        return Difference.ENDED
    if entry.place is Place.STARTED:
        young = entry.since is not None and now - entry.since < GRACE
        return None if young or row.standing is Standing.AT_WORK else Difference.NOT_AT_WORK
    if not entry.readable:
        return Difference.UNREADABLE
    if entry.place is Place.WAITING and row.standing is Standing.AT_WORK and _wanted(entry):
        return Difference.AT_WORK
    return None


def _unknown_workers(snapshot: Snapshot, rows: Mapping[str, Row]) -> Iterator[Found]:
    for row in rows.values():
        if row.standing is Standing.AT_WORK and row.worker and row.worker not in snapshot.workers:
            yield Found(Difference.WORKER_UNKNOWN, row=row)
