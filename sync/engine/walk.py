"""The first look: walking one organization in key order, a bounded chunk of both sides at a time.

A chunk ends where both sides are known: at the smaller of the two pages' last keys. What one page has beyond that is
read again with the next chunk, so memory is two pages whatever the organization's size and however different the sides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from sync.engine.compare import drift_kind
from sync.engine.rows import Key, Row, Side

MOST_SUSPECTS = 2_000
"""Suspects of one look. They are read again by value as a whole, so this bounds memory where everything differs."""


class OutOfOrderError(ValueError):
    """A side broke its promise of strictly rising keys; comparing on would report false drift."""


@dataclass(frozen=True, slots=True)
class Look:
    """One chunk, looked at once.

    `upto` is the last key it covers (None: the end of the organization), `scanned` the tasks of the source in it,
    `suspects` the keys that differ at first sight, in key order.
    """

    upto: Key | None
    scanned: int
    suspects: Sequence[Key]


Walk: TypeAlias = Callable[[Key | None, Key | None], Iterator[Look]]
"""Gives the looks at the keys in (after, upto]; None leaves that end open. A window has no ranges, and its walk no
upper bound."""


def looks_of(suspects: Sequence[Key], places: Sequence[int], scanned: int, upto: Key | None) -> Iterator[Look]:
    """A chunk as one look, or as several where it has many suspects, each ending at its last suspect.

    `places`: how many of the chunk's `scanned` source tasks lie before each suspect or are it.
    """
    begin, before = 0, 0
    while len(suspects) - begin > MOST_SUSPECTS:
        end = begin + MOST_SUSPECTS
        yield Look(suspects[end - 1], places[end - 1] - before, suspects[begin:end])
        begin, before = end, places[end - 1]
    yield Look(upto, scanned - before, suspects[begin:])


def walk(
    source: Side, index: Side, organization: Key, *, after: Key | None, limit: int, bound: Key | None = None
) -> Iterator[Look]:
    """Look at every chunk of `organization` in (after, bound]; None leaves that end open. The last look ends at the
    bound, whether there is a task with this key or not."""
    while True:
        mine = _in_order(source.page(organization, after, limit), after, "source")
        theirs = _in_order(index.page(organization, after, limit), after, "index")
        upto = nearer(_common_end(mine, theirs, limit), bound)
        mine, theirs = _within(mine, upto), _within(theirs, upto)
        yield from looks_of(*_suspects(mine, theirs), _tasks(mine), upto)
        if upto == bound:
            return
        after = upto


def walk_pages(
    read: Callable[[Key | None], Sequence[Row]], index: Side, *, after: Key | None, limit: int
) -> Iterator[Look]:
    """Look at those tasks that `read` gives, page by page of at most `limit` behind a key, and at no others.

    The index is asked for just these keys, so a task that is gone from the source altogether is not noticed.
    """
    while True:
        mine = _in_order(read(after), after, "source")
        theirs = index.by_keys([row.key for row in mine])
        upto = mine[-1].key if len(mine) >= limit else None
        suspects, places = _suspects(mine, [theirs[row.key] for row in mine if row.key in theirs])
        yield from looks_of(suspects, places, _tasks(mine), upto)
        if upto is None:
            return
        after = upto


def look_at_keys(keys: Sequence[Key], *, start: int, limit: int) -> Iterator[tuple[int, Look]]:
    """The first look at a list of tasks named by hand: all are suspects. Gives the position behind each chunk, too."""
    limit = min(limit, MOST_SUSPECTS)
    for begin in range(start, len(keys), limit):
        chunk = tuple(keys[begin : begin + limit])
        yield begin + len(chunk), Look(None, len(chunk), chunk)


def _suspects(mine: Sequence[Row], theirs: Sequence[Row]) -> tuple[list[Key], list[int]]:
    """Where two pages of the same range differ, as `looks_of` takes it. Both are in key order, and so is the result."""
    found: list[Key] = []
    places: list[int] = []
    position = scanned = 0
    for row in mine:
        while position < len(theirs) and theirs[position].key < row.key:  # type: ignore[operator]  # one kind of key
            found.append(theirs[position].key)
            places.append(scanned)
            position += 1
        other = None
        if position < len(theirs) and theirs[position].key == row.key:
            other = theirs[position]
            position += 1
        scanned += not row.deleted
        if drift_kind(row, other) is not None:
            found.append(row.key)
            places.append(scanned)
    rest = [row.key for row in theirs[position:]]
    return found + rest, places + [scanned] * len(rest)


def _tasks(rows: Sequence[Row]) -> int:
    return sum(not row.deleted for row in rows)


def _in_order(rows: Sequence[Row], after: Key | None, side: str) -> Sequence[Row]:
    keys = [row.key for row in rows]
    if after is not None:
        keys.insert(0, after)
    for lower, higher in pairwise(keys):
        if not lower < higher:  # type: ignore[operator]  # one kind of key
            raise OutOfOrderError(f"the {side} gave key {higher} after {lower}; keys must rise strictly")
    return rows


def _common_end(mine: Sequence[Row], theirs: Sequence[Row], limit: int) -> Key | None:
    full_pages = [rows[-1].key for rows in (mine, theirs) if len(rows) >= limit]
    return min(full_pages, default=None)


def nearer(end: Key | None, bound: Key | None) -> Key | None:
    """The smaller one; None is beyond every key."""
    if end is None or bound is None:
        return bound if end is None else end
    return min(end, bound)


def _within(rows: Sequence[Row], upto: Key | None) -> Sequence[Row]:
    if upto is None or not rows or rows[-1].key <= upto:  # type: ignore[operator]  # one kind of key
        return rows
    return [row for row in rows if row.key <= upto]  # type: ignore[operator]
