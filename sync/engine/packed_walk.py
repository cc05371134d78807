"""The first look by packed chunks: as `walk`, for two sides that can pack a key range into one byte string.

The source decides the ranges. While its chunks equal the index's, only counts and sums of hashes are compared; at the
beginning and after a chunk that differed both sides send packed cells, since drift rarely comes alone. The index is
asked for a range as soon as the source's is known, and both read on while the chunk before is compared.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import ParamSpec, Protocol, TypeVar

from sync.engine.packed import KeyCodec, PackedKeys, cells_upto, differences
from sync.engine.rows import Key
from sync.engine.walk import Look, looks_of

AIM_SECONDS = 0.2
FEWEST_ROWS = 500
MOST_ROWS = 100_000
"""Bounds memory: a chunk's cells on both sides, and the next one's."""

MOST_GROWTH = 8.0
CALM_CHUNKS = 2
"""Equal chunks in a row after which digests are enough."""

INDEX_SURPLUS = 2
"""How many times the source's rows the index may have in a range before it is read in pieces."""


P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Digest:
    """Of the first rows of a range: how many, the sum of their hashes, the last key (None: no rows)."""

    count: int
    total: int
    last: Key | None


class PackedSide(Protocol):
    """One side that packs the range (after, upto] of an organization; None leaves that end open. One query each."""

    def digest(self, organization: Key, after: Key | None, upto: Key | None, limit: int | None) -> Digest: ...

    def pack(self, organization: Key, after: Key | None, upto: Key | None, limit: int) -> bytes: ...


class Pace:
    """How many rows the next chunk takes, so that a statement takes about `AIM_SECONDS`. `timed` is for any thread."""

    def __init__(self, rows: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.rows = rows
        self._clock = clock
        self._took: deque[float] = deque()

    def timed(self, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `read` gives; how long it took counts for the next `adapt`."""
        since = self._clock()
        try:
            return read(*args, **kwargs)
        finally:
            self._took.append(self._clock() - since)

    def adapt(self) -> None:
        """By the longest statement since this was called last."""
        longest = 0.0
        while self._took:
            longest = max(longest, self._took.popleft())
        factor = min(MOST_GROWTH, max(0.5, AIM_SECONDS / max(longest, 0.001)))
        self.rows = min(MOST_ROWS, max(FEWEST_ROWS, int(self.rows * factor)))


@dataclass(frozen=True, slots=True)
class _Digested:
    """A range as the source sums it up, and as the index does, which is being read."""

    after: Key | None
    upto: Key | None
    mine: Digest
    theirs: Future[Digest]


@dataclass(frozen=True, slots=True)
class _Packed:
    """A range as the source packs it; the index's first `limit` tasks of it are being read."""

    after: Key | None
    upto: Key | None
    mine: bytes
    limit: int
    theirs: Future[bytes]


class PackedWalk:
    """Walks one organization. `source_thread` and `index_thread` read their sides, one statement after the other."""

    def __init__(
        self,
        source: PackedSide,
        index: PackedSide,
        organization: Key,
        codec: KeyCodec,
        source_thread: Executor,
        index_thread: Executor,
        *,
        pace: Pace,
    ) -> None:
        self._source = source
        self._index = index
        self._organization = organization
        self._codec = codec
        self._pace = pace
        self._source_thread = source_thread
        self._index_thread = index_thread
        self._calm = 0

    def looks(self, after: Key | None, bound: Key | None = None) -> Iterator[Look]:
        """Every chunk in (after, bound], as `sync.engine.walk.walk` gives them."""
        coming = self._fetch(after, bound)
        while True:
            chunk = coming.result()
            if chunk.upto != bound:
                self._pace.adapt()
                coming = self._fetch(chunk.upto, bound)
            yield from self._compare(chunk)
            if chunk.upto == bound:
                return

    def _fetch(self, after: Key | None, bound: Key | None) -> Future[_Digested] | Future[_Packed]:
        args = after, bound, self._pace.rows
        if self._calm >= CALM_CHUNKS:
            return self._source_thread.submit(self._read_digest, *args)
        return self._source_thread.submit(self._read_packed, *args)

    def _read_digest(self, after: Key | None, bound: Key | None, rows: int) -> _Digested:
        mine = self._pace.timed(self._source.digest, self._organization, after, bound, rows)
        upto = mine.last if mine.count >= rows else bound
        theirs = self._index_thread.submit(self._pace.timed, self._index.digest, self._organization, after, upto, None)
        return _Digested(after, upto, mine, theirs)

    def _read_packed(self, after: Key | None, bound: Key | None, rows: int) -> _Packed:
        mine = self._pace.timed(self._source.pack, self._organization, after, bound, rows)
        count = self._codec.count(mine)
        upto = self._codec.last_key(mine) if count >= rows else bound
        limit = max(count, FEWEST_ROWS) * INDEX_SURPLUS
        return _Packed(after, upto, mine, limit, self._pack_index(after, upto, limit))

    def _read_again(self, chunk: _Digested) -> _Packed:
        """The same range of both sides, packed."""
        count, after, upto = chunk.mine.count, chunk.after, chunk.upto
        limit = max(count, FEWEST_ROWS) * INDEX_SURPLUS
        theirs = self._pack_index(after, upto, limit)
        mine = self._pace.timed(self._source.pack, self._organization, after, upto, max(count, 1))
        return _Packed(after, upto, mine, limit, theirs)

    def _pack_index(self, after: Key | None, upto: Key | None, limit: int) -> Future[bytes]:
        return self._index_thread.submit(self._pace.timed, self._index.pack, self._organization, after, upto, limit)

    def _compare(self, chunk: _Digested | _Packed) -> Iterator[Look]:
        if isinstance(chunk, _Packed):
            yield from self._compare_cells(chunk)
            return
        mine, theirs = chunk.mine, chunk.theirs.result()
        if (theirs.count, theirs.total) == (mine.count, mine.total):
            yield Look(chunk.upto, mine.count, ())
        else:
            yield from self._compare_cells(self._source_thread.submit(self._read_again, chunk).result())

    def _compare_cells(self, chunk: _Packed) -> Iterator[Look]:
        """One look, or several where the index has far more rows in the range than the source."""
        after, mine, coming, differed = chunk.after, chunk.mine, chunk.theirs, False
        while True:
            theirs = coming.result()
            upto = chunk.upto if self._codec.count(theirs) < chunk.limit else self._codec.last_key(theirs)
            whole = upto == chunk.upto
            size = len(mine) if whole or upto is None else cells_upto(mine, upto, self._codec)
            found = differences(mine[:size], theirs, self._codec)
            differed = differed or bool(found.keys)
            yield from looks_of(PackedKeys(self._codec, found.keys), found.scanned, size // self._codec.cell, upto)
            if whole:
                break
            mine, after = mine[size:], upto
            coming = self._pack_index(after, chunk.upto, chunk.limit)
        self._calm = 0 if differed else self._calm + 1
