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

    def chunk_begins(self) -> None:
        """What whoever takes the looks did with the last one is not the chunk's time."""
        self._since = self._clock()

    def chunk_done(self) -> None:
        took = self._clock() - self._since
        factor = min(MOST_GROWTH, max(0.5, AIM_SECONDS / max(took, 0.001)))
        self.rows = min(MOST_ROWS, max(FEWEST_ROWS, int(self.rows * factor)))


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

    def looks(self, after: Key | None, bound: Key | None = None) -> Iterator[Look]:
        """Every chunk in (after, bound], as `sync.engine.walk.walk` gives them."""
        coming = self._fetch(after, bound)
        while True:
            self._pace.chunk_begins()
            chunk = coming.result()
            if chunk.upto != bound:
                coming = self._fetch(chunk.upto, bound)
            looks = self._compare(chunk)
            first = next(looks)
            self._pace.chunk_done()
            yield first
            yield from looks
            if chunk.upto == bound:
                return

    def _fetch(self, after: Key | None, bound: Key | None) -> Future[_SourceChunk]:
        read = self._read_digest if self._calm >= CALM_CHUNKS else self._read_packed
        return self._ahead.submit(read, after, bound, self._pace.rows)

    def _read_digest(self, after: Key | None, bound: Key | None, rows: int) -> _SourceChunk:
        digest = self._source.digest(self._organization, after, bound, rows)
        upto = digest.last if digest.count >= rows else bound
        return _SourceChunk(after, upto, digest.count, digest, b"")

    def _read_packed(self, after: Key | None, bound: Key | None, rows: int) -> _SourceChunk:
        packed = self._source.pack(self._organization, after, bound, rows)
        count = self._codec.count(packed)
        upto = self._codec.last_key(packed) if count >= rows else bound
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
            upto = chunk.upto if self._codec.count(theirs) < limit else self._codec.last_key(theirs)
            whole = upto == chunk.upto
            size = len(mine) if whole or upto is None else cells_upto(mine, upto, self._codec)
            found = differences(mine[:size], theirs, self._codec)
            differed = differed or bool(found.keys)
            yield from looks_of(PackedKeys(self._codec, found.keys), found.scanned, size // self._codec.cell, upto)
            if whole:
                break
            mine, after = mine[size:], upto
        self._calm = 0 if differed else self._calm + 1
