"""Two packed chunks compared: by galloping and side by side, with the same outcome as one cell after the other."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.engine import packed
from sync.engine.packed import KeyCodec, PackedKeys, differences
from sync.engine.rows import Key

Chunk = dict[int, int]
"""Keys by number, each with the hash of its fields."""

NUMBERS = st.integers(-60, 60)
HASHES = st.integers(0, 3)
CHUNKS = st.dictionaries(NUMBERS, HASHES, max_size=60)

KEY_OF: dict[KeyCodec, Callable[[int], Key]] = {
    KeyCodec.INTEGER: int,
    KeyCodec.UUID: lambda number: UUID(int=(number + 100) << 64),
}


def packed_chunk(codec: KeyCodec, chunk: Chunk) -> bytes:
    """In key order, as a server writes it."""
    return b"".join(_key(codec, number) + chunk[number].to_bytes(8) for number in sorted(chunk))


def _key(codec: KeyCodec, number: int) -> bytes:
    return number.to_bytes(8, signed=True) if codec is KeyCodec.INTEGER else ((number + 100) << 64).to_bytes(16)


def one_by_one(codec: KeyCodec, mine: Chunk, theirs: Chunk) -> list[tuple[Key, int]]:
    return [
        (KEY_OF[codec](number), sum(one <= number for one in mine))
        for number in sorted(mine.keys() | theirs.keys())
        if mine.get(number) != theirs.get(number)
    ]


@pytest.mark.parametrize("codec", list(KeyCodec))
@pytest.mark.parametrize("dense", [True, False])
@given(mine=CHUNKS, theirs=CHUNKS, block=st.integers(1, 20))
def test_both_ways_find_what_differs(codec: KeyCodec, dense: bool, mine: Chunk, theirs: Chunk, block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed, "DENSE", 0 if dense else 1_000)
        patch.setattr(packed, "BLOCK_CELLS", block)
        found = differences(packed_chunk(codec, mine), packed_chunk(codec, theirs), codec)
    keys = PackedKeys(codec, found.keys)
    assert list(zip(keys, found.scanned, strict=True)) == one_by_one(codec, mine, theirs)
    assert keys.texts() == list(map(str, keys))
    assert list(keys[1:3]) == list(keys)[1:3]


@pytest.mark.parametrize(("every", "dense"), [(3, True), (10, True), (1_000, False)])
def test_the_samples_tell_short_runs_from_long_ones(monkeypatch: pytest.MonkeyPatch, every: int, dense: bool) -> None:
    """Rows that one side lacks put the cells behind them at other places, which makes no difference."""
    mine = dict.fromkeys(range(20000), 1)
    theirs = {number: 1 + (number % every == 0) for number in mine if number % 997}
    ways: list[str] = []

    def taken(way: str) -> Callable[..., None]:
        def take(*_: object) -> None:
            ways.append(way)

        return take

    for way in ("_side_by_side", "_by_galloping"):
        monkeypatch.setattr(packed, way, taken(way))
    codec = KeyCodec.INTEGER
    differences(packed_chunk(codec, mine), packed_chunk(codec, theirs), codec)
    assert ways == ["_side_by_side" if dense else "_by_galloping"]
