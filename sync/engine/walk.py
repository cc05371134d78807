"""The first look: walking one organization in key order, a bounded chunk of both sides at a time.

A chunk ends where both sides are known: at the smaller of the two pages' last keys. What one page has beyond that is
read again with the next chunk, so memory is two pages whatever the organization's size and however different the sides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sync.engine.compare import drift_kind
from sync.engine.rows import Key, Row, Side


class OutOfOrderError(ValueError):
    """A side broke its promise of strictly rising keys; comparing on would report false drift."""


@dataclass(frozen=True, slots=True)
class Look:
    """One chunk, looked at once.

    `upto` is the last key it covers (None: the end of the organization), `scanned` the source rows in it, `suspects`
    the keys that differ at first sight. `ageless` says that some suspect is not in the source at all: when it went is
    unknown, so judging must wait out the settle time from now.
    """

    upto: Key | None
    scanned: int
    suspects: tuple[Key, ...]
    ageless: bool


def walk(source: Side, index: Side, organization: Key, *, after: Key | None, limit: int) -> Iterator[Look]:
    """Look at every chunk of `organization` behind the key `after` (None: from the start)."""
    while True:
        look = look_at_chunk(source, index, organization, after=after, limit=limit)
        yield look
        if look.upto is None:
            return
        after = look.upto


def look_at_chunk(source: Side, index: Side, organization: Key, *, after: Key | None, limit: int) -> Look:
    mine = _in_order(source.page(organization, after, limit), after, "source")
    theirs = _in_order(index.page(organization, after, limit), after, "index")
    upto = _common_end(mine, theirs, limit)
    indexed = {row.key: row for row in theirs if _within(row, upto)}
    suspects: list[Key] = []
    scanned = 0
    for row in mine:
        if not _within(row, upto):
            break
        scanned += 1
        if drift_kind(row, indexed.pop(row.key, None)) is not None:
            suspects.append(row.key)
    return Look(upto, scanned, (*suspects, *indexed), ageless=bool(indexed))


def look_at_keys(keys: Sequence[Key], *, start: int, limit: int) -> Iterator[tuple[int, Look]]:
    """The first look at a list of tasks named by hand: all are suspects. Gives the position behind each chunk, too."""
    for begin in range(start, len(keys), limit):
        chunk = tuple(keys[begin : begin + limit])
        yield begin + len(chunk), Look(None, len(chunk), chunk, ageless=False)


def _in_order(rows: Sequence[Row], after: Key | None, side: str) -> Sequence[Row]:
    keys = [row.key for row in rows]
    if after is not None:
        keys.insert(0, after)
    for lower, higher in pairwise(keys):
        if not lower < higher:  # type: ignore[operator]  # both are of the estate's one key type
            raise OutOfOrderError(f"the {side} gave key {higher} after {lower}; keys must rise strictly")
    return rows


def _common_end(mine: Sequence[Row], theirs: Sequence[Row], limit: int) -> Key | None:
    full_pages = [rows[-1].key for rows in (mine, theirs) if len(rows) >= limit]
    return min(full_pages, default=None)


def _within(row: Row, upto: Key | None) -> bool:
    return upto is None or row.key <= upto  # type: ignore[operator]
