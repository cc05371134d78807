"""Comparing two packed chunks: byte strings of cells, each a key and the hash of its compared fields, in key order.

Equal strings are equal chunks, and that costs one comparison of memory. In unequal ones the differing cells are found
by galloping: runs of equal cells are skipped in doubling steps and the end of a run is found by bisection, so the cost
grows with the number of differences and not with the size of the chunk. Where runs are short, as a few samples tell,
both chunks are cut into cells and these compared side by side, which costs little for each, and little more for one
that differs.
"""

from __future__ import annotations

import struct
from binascii import hexlify
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import compress, count
from operator import ne
from typing import Any, overload
from uuid import UUID, SafeUUID

from sync.engine.rows import Key

HASH_WIDTH = 8
FIRST_STEP = 4

BLOCK_CELLS = 1_000
SAMPLES = 64
DENSE = 3
"""So many of the samples must differ for the cells to be compared side by side: about one in twenty."""


def _uuid(data: bytes) -> UUID:
    """As `UUID(bytes=data)`, in less than half the time: its constructor asks which of its many arguments it got."""
    made = object.__new__(UUID)
    object.__setattr__(made, "int", int.from_bytes(data))
    object.__setattr__(made, "is_safe", SafeUUID.unknown)
    return made


def _integer(data: bytes) -> int:
    return int.from_bytes(data, "big", signed=True)


class KeyCodec(Enum):
    """How a kind of key is written in a cell: width in bytes, the key that such bytes stand for, and something of them
    that sorts as keys do, and quickly."""

    UUID = (16, _uuid, bytes)
    INTEGER = (8, _integer, _integer)

    def __init__(self, width: int, decode: Callable[[bytes], Key], order: Callable[[bytes], Any]) -> None:
        self.width = width
        self.decode = decode
        self.order = order

    @property
    def cell(self) -> int:
        """Bytes of one cell."""
        return self.width + HASH_WIDTH

    def last_key(self, packed: bytes) -> Key:
        """The key of the last cell of a chunk that is not empty."""
        return self.decode(packed[-self.cell : -HASH_WIDTH])

    def count(self, packed: bytes) -> int:
        return len(packed) // self.cell


@dataclass(frozen=True, slots=True)
class PackedKeys(Sequence[Key]):
    """Keys as cells have them. One is made where it is asked for: most go to the servers only, and as texts to rows."""

    codec: KeyCodec
    raw: Sequence[bytes]

    def __len__(self) -> int:
        return len(self.raw)

    @overload
    def __getitem__(self, place: int) -> Key: ...

    @overload
    def __getitem__(self, place: slice) -> PackedKeys: ...

    def __getitem__(self, place: int | slice) -> Key | PackedKeys:
        if isinstance(place, slice):
            return PackedKeys(self.codec, self.raw[place])
        return self.codec.decode(self.raw[place])

    def texts(self) -> list[str]:
        """Each as `str` gives it, in a fraction of the time for UUIDs."""
        if self.codec is not KeyCodec.UUID or not self.raw:
            return list(map(str, self))
        parts = struct.iter_unpack("8s4s4s4s12s", hexlify(b"".join(self.raw)))
        return b",".join(map(b"-".join, parts)).decode().split(",")


def texts_of(keys: Sequence[Key]) -> list[str]:
    return keys.texts() if isinstance(keys, PackedKeys) else list(map(str, keys))


@dataclass(slots=True)
class Differing:
    """The keys that differ, in key order, and for each how many of the chunk's source tasks lie before it or are it."""

    keys: list[bytes] = field(default_factory=list)
    scanned: list[int] = field(default_factory=list)

    def add(self, key: bytes, scanned: int) -> None:
        self.keys.append(key)
        self.scanned.append(scanned)


def differences(mine: bytes, theirs: bytes, codec: KeyCodec) -> Differing:
    """Where the chunks differ. Both hold whole cells in strictly rising key order of the same range."""
    found = Differing()
    if mine != theirs:
        way = _side_by_side if _differ_densely(mine, theirs, codec) else _by_galloping
        way(mine, theirs, codec, found)
    return found


def _differ_densely(mine: bytes, theirs: bytes, codec: KeyCodec) -> bool:
    cell, width = codec.cell, codec.width
    step = max(1, codec.count(mine) // SAMPLES) * cell
    differing = 0
    for at in range(0, len(mine), step):
        sample = mine[at : at + cell]
        end = cells_upto(theirs, codec.decode(sample[:width]), codec)
        differing += theirs[max(0, end - cell) : end] != sample
    return differing >= DENSE


def _side_by_side(mine: bytes, theirs: bytes, codec: KeyCodec, found: Differing) -> None:
    """Block by block of my cells, each with theirs of the same range: cells by themselves take three times the room."""
    size = BLOCK_CELLS * codec.cell
    there = 0
    for here in range(0, len(mine) or 1, size):
        block, end = mine[here : here + size], len(theirs)
        if here + size < len(mine):
            end = max(there, cells_upto(theirs, codec.last_key(block), codec))
        _block_side_by_side(block, theirs[there:end], codec, here // codec.cell, found)
        there = end


def _block_side_by_side(mine: bytes, theirs: bytes, codec: KeyCodec, before: int, found: Differing) -> None:
    width, order, add = codec.width, codec.order, found.add
    cells, others = _cells(mine, codec), _cells(theirs, codec)
    while True:
        place = 0
        for place in compress(count(), map(ne, cells, others)):
            key, other = cells[place][:width], others[place][:width]
            if key != other:
                break
            add(key, before + place + 1)
        else:
            break
        # From here on the same key is at another place on either side.
        before += place
        if order(key) < order(other):
            before += 1
            add(key, before)
            cells, others = cells[place + 1 :], others[place:]
        else:
            add(other, before)
            cells, others = cells[place:], others[place + 1 :]
    both = min(len(cells), len(others))
    for number, cell in enumerate(cells[both:], before + both + 1):
        add(cell[:width], number)
    for cell in others[both:]:
        add(cell[:width], before + both)


def _cells(packed: bytes, codec: KeyCodec) -> Sequence[bytes]:
    return struct.unpack(f"{codec.cell}s" * codec.count(packed), packed)


def _by_galloping(mine: bytes, theirs: bytes, codec: KeyCodec, found: Differing) -> None:
    cell, width, order = codec.cell, codec.width, codec.order
    here, there, mine_end, their_end = 0, 0, len(mine), len(theirs)
    while here < mine_end and there < their_end:
        my_cell, their_cell = mine[here : here + cell], theirs[there : there + cell]
        if my_cell == their_cell:
            run = equal_run(mine, theirs, here + cell, there + cell, cell) + cell
            here, there = here + run, there + run
            continue
        key, other = my_cell[:width], their_cell[:width]
        if key == other:
            here, there = here + cell, there + cell
        elif order(key) < order(other):
            here += cell
        else:
            there += cell
            key = other
        found.add(key, here // cell)
    for at in range(here, mine_end, cell):
        found.add(mine[at : at + width], at // cell + 1)
    for at in range(there, their_end, cell):
        found.add(theirs[at : at + width], mine_end // cell)


def equal_run(mine: bytes, theirs: bytes, here: int, there: int, cell: int) -> int:
    """How many bytes of whole equal cells follow the two positions. Steps of a few cells, then galloping, then
    bisection of the last step: where much differs runs are short."""
    longest = min(len(mine) - here, len(theirs) - there)
    equal, step = 0, FIRST_STEP * cell
    while equal < longest:
        step = min(step, longest - equal)
        at, beside = here + equal, there + equal
        if mine[at : at + step] != theirs[beside : beside + step]:
            return equal + _equal_part(mine, theirs, at, beside, step, cell)
        equal += step
        step *= 2
    return equal


def _equal_part(mine: bytes, theirs: bytes, here: int, there: int, step: int, cell: int) -> int:
    """How many bytes of whole equal cells begin the next `step` bytes, which are known to differ somewhere."""
    low, high = 0, step // cell - 1
    while low < high:
        middle = (low + high + 1) // 2
        begin, end = low * cell, middle * cell
        if mine[here + begin : here + end] == theirs[there + begin : there + end]:
            low = middle
        else:
            high = middle - 1
    return low * cell


def cells_upto(packed: bytes, key: Key, codec: KeyCodec) -> int:
    """How many bytes of `packed` are cells with a key not above `key`."""
    low, high = 0, codec.count(packed)
    while low < high:
        middle = (low + high) // 2
        at = middle * codec.cell
        if codec.decode(packed[at : at + codec.width]) <= key:  # type: ignore[operator]  # one kind of key
            low = middle + 1
        else:
            high = middle
    return low * codec.cell
