"""Comparing two packed chunks: byte strings of cells, each a key and the hash of its compared fields, in key order.

Equal strings are equal chunks, and that costs one comparison of memory. In unequal ones the differing cells are found
by galloping: runs of equal cells are skipped in doubling steps and the end of a run is found by bisection, so the cost
grows with the number of differences and not with the size of the chunk.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from uuid import UUID

from sync.engine.rows import Key
from sync.engine.walk import Suspect

HASH_WIDTH = 8
FIRST_STEP = 4


class KeyCodec(Enum):
    """How a kind of key is written in a cell: width in bytes, and the key that such bytes stand for."""

    UUID = (16, lambda data: UUID(bytes=data))
    INTEGER = (8, lambda data: int.from_bytes(data, "big", signed=True))

    def __init__(self, width: int, decode: Callable[[bytes], Key]) -> None:
        self.width = width
        self._decode = decode

    @property
    def cell(self) -> int:
        """Bytes of one cell."""
        return self.width + HASH_WIDTH

    def decode(self, data: bytes) -> Key:
        return self._decode(data)

    def last_key(self, packed: bytes) -> Key:
        """The key of the last cell of a chunk that is not empty."""
        return self._decode(packed[-self.cell : -HASH_WIDTH])

    def count(self, packed: bytes) -> int:
        return len(packed) // self.cell


def differences(mine: bytes, theirs: bytes, codec: KeyCodec) -> list[Suspect]:
    """Where the chunks differ, in key order. Both hold whole cells in strictly rising key order of the same range."""
    found: list[Suspect] = []
    if mine == theirs:
        return found
    cell, width, decode = codec.cell, codec.width, codec.decode
    here, there, mine_end, their_end = 0, 0, len(mine), len(theirs)
    while here < mine_end and there < their_end:
        my_cell, their_cell = mine[here : here + cell], theirs[there : there + cell]
        if my_cell == their_cell:
            run = equal_run(mine, theirs, here + cell, there + cell, cell) + cell
            here, there = here + run, there + run
            continue
        key = decode(my_cell[:width])
        if my_cell[:width] == their_cell[:width]:
            here, there = here + cell, there + cell
        elif key < (other := decode(their_cell[:width])):  # type: ignore[operator]  # one kind of key
            here += cell
        else:
            there += cell
            key = other
        found.append(Suspect(key, here // cell))
    found += [Suspect(decode(mine[at : at + width]), at // cell + 1) for at in range(here, mine_end, cell)]
    end = mine_end // cell
    found += [Suspect(decode(theirs[at : at + width]), end) for at in range(there, their_end, cell)]
    return found


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
