"""The first look by packed chunks: as `walk`, for two sides that can pack a key range into one byte string.

The source decides the ranges. While its chunks equal the index's, only counts and sums of hashes are compared; after a
chunk that differed both sides send packed cells, since drift rarely comes alone. The source's next chunk is fetched
while the index's is compared.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Protocol

from sync.engine.packed import KeyCodec, cells_upto, differences
from sync.engine.rows import Key
from sync.engine.walk import Look, looks_of

AIM_SECONDS = 0.2
FEWEST_ROWS = 500
MOST_ROWS = 100_000
CALM_CHUNKS = 2
"""Equal chunks in a row after which digests are enough."""

INDEX_SURPLUS = 2
"""How many times the source's rows the index may have in a range before it is read in pieces."""


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
    """How many rows the next chunk takes, so that one chunk takes about `AIM_SECONDS`."""

    def __init__(self, rows: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.rows = rows
        self._clock = clock
        self._since = clock()

    def chunk_done(self) -> None:
        now = self._clock()
        factor = min(2.0, max(0.5, AIM_SECONDS / max(now - self._since, 0.001)))
        self.rows = min(MOST_ROWS, max(FEWEST_ROWS, int(self.rows * factor)))
        self._since = now


@dataclass(frozen=True, slots=True)
class _SourceChunk:
    after: Key | None
    upto: Key | None
    count: int
    digest: Digest | None
    packed: bytes


class PackedWalk:
    """Walks one organization. `ahead` runs the source's reads, one after the other, beside the caller's thread."""

    def __init__(
        self,
        source: PackedSide,
        index: PackedSide,
        organization: Key,
        codec: KeyCodec,
        *,
        pace: Pace,
        ahead: Executor,
    ) -> None:
        self._source = source
        self._index = index
        self._organization = organization
        self._codec = codec
        self._pace = pace
        self._ahead = ahead
        self._calm = CALM_CHUNKS

    def looks(self, after: Key | None) -> Iterator[Look]:
        """Every chunk behind the key `after`, as `sync.engine.walk.walk` gives them."""
        coming = self._fetch(after)
        while True:
            chunk = coming.result()
            if chunk.upto is not None:
                coming = self._fetch(chunk.upto)
            yield from self._compare(chunk)
            self._pace.chunk_done()
            if chunk.upto is None:
                return

    def _fetch(self, after: Key | None) -> Future[_SourceChunk]:
        read = self._read_digest if self._calm >= CALM_CHUNKS else self._read_packed
        return self._ahead.submit(read, after, self._pace.rows)

    def _read_digest(self, after: Key | None, rows: int) -> _SourceChunk:
        digest = self._source.digest(self._organization, after, None, rows)
        upto = digest.last if digest.count >= rows else None
        return _SourceChunk(after, upto, digest.count, digest, b"")

    def _read_packed(self, after: Key | None, rows: int) -> _SourceChunk:
        packed = self._source.pack(self._organization, after, None, rows)
        count = self._codec.count(packed)
        upto = self._codec.last_key(packed) if count >= rows else None
        return _SourceChunk(after, upto, count, None, packed)

    def _compare(self, chunk: _SourceChunk) -> Iterator[Look]:
        if chunk.digest is None:
            yield from self._compare_cells(chunk, chunk.packed)
            return
        theirs = self._index.digest(self._organization, chunk.after, chunk.upto, None)
        if (theirs.count, theirs.total) == (chunk.digest.count, chunk.digest.total):
            yield Look(chunk.upto, chunk.count, ())
            return
        args = self._organization, chunk.after, chunk.upto, max(chunk.count, 1)
        yield from self._compare_cells(chunk, self._ahead.submit(self._source.pack, *args).result())

    def _compare_cells(self, chunk: _SourceChunk, mine: bytes) -> Iterator[Look]:
        """One look, or several where the index has far more rows in the range than the source."""
        after, differed = chunk.after, False
        limit = max(chunk.count, FEWEST_ROWS) * INDEX_SURPLUS
        while True:
            theirs = self._index.pack(self._organization, after, chunk.upto, limit)
            whole = self._codec.count(theirs) < limit
            upto = chunk.upto if whole else self._codec.last_key(theirs)
            size = len(mine) if whole or upto is None else cells_upto(mine, upto, self._codec)
            suspects = differences(mine[:size], theirs, self._codec)
            differed = differed or bool(suspects)
            yield from looks_of(suspects, size // self._codec.cell, upto)
            if whole:
                break
            mine, after = mine[size:], upto
        self._calm = 0 if differed else self._calm + 1
