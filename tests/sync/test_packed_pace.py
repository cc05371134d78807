"""How large the next packed chunk is, and that both servers are at work at the same time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.engine import packed_walk
from sync.engine.packed import KeyCodec
from sync.engine.packed_walk import AIM_SECONDS, FEWEST_ROWS, MOST_GROWTH, MOST_ROWS, Digest, Pace, PackedWalk
from sync.engine.rows import Key

PATIENCE = 20.0


class Clock:
    """Stands still but for what is taken from it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def take(self, seconds: float) -> float:
        self.now += seconds
        return seconds


def adapted(rows: int, *took: float) -> int:
    clock = Clock()
    pace = Pace(rows, clock)
    for seconds in took:
        assert pace.timed(clock.take, seconds) == seconds
    pace.adapt()
    return pace.rows


@given(rows=st.integers(FEWEST_ROWS, MOST_ROWS), took=st.lists(st.floats(0, 30), min_size=1, max_size=4))
def test_aims_at_a_time_by_the_longest_statement_within_bounds(rows: int, took: list[float]) -> None:
    factor = min(MOST_GROWTH, max(0.5, AIM_SECONDS / max(*took, 0.001)))
    assert adapted(rows, *took) == min(MOST_ROWS, max(FEWEST_ROWS, int(rows * factor)))


def test_a_statement_counts_once() -> None:
    clock = Clock()
    pace = Pace(10_000, clock)
    pace.timed(clock.take, AIM_SECONDS * 2)
    pace.adapt()
    assert pace.rows == 5_000
    pace.timed(clock.take, AIM_SECONDS)
    pace.adapt()
    assert pace.rows == pytest.approx(5_000, abs=1)


def test_a_statement_that_fails_counts_too() -> None:
    clock = Clock()
    pace = Pace(10_000, clock)

    def fail() -> None:
        clock.take(AIM_SECONDS * 2)
        raise TimeoutError

    with pytest.raises(TimeoutError):
        pace.timed(fail)
    pace.adapt()
    assert pace.rows == 5_000


class Side:
    """Endless equal tasks with the keys 1, 2, 3 ... Where there is `ahead`, it answers for a range only when that side
    was asked for one more."""

    def __init__(self, ahead: Side | None = None) -> None:
        self.asked = 0
        self.changed = threading.Condition()
        self._ahead = ahead

    def _first(self, after: Key | None) -> int:
        with self.changed:
            self.asked += 1
            self.changed.notify_all()
        if (ahead := self._ahead) is not None:
            with ahead.changed:
                assert ahead.changed.wait_for(lambda: ahead.asked > self.asked, PATIENCE), "not asked meanwhile"
        return 0 if after is None else int(str(after))

    def digest(self, organization: Key, after: Key | None, upto: Key | None, limit: int | None) -> Digest:
        first = self._first(after)
        last = first + limit if limit else int(str(upto))
        return Digest(last - first, 0, last)

    def pack(self, organization: Key, after: Key | None, upto: Key | None, limit: int) -> bytes:
        first = self._first(after)
        last = first + limit if upto is None else int(str(upto))
        return b"".join(key.to_bytes(8, "big") + bytes(8) for key in range(first + 1, last + 1))


@pytest.mark.parametrize("calm", [0, 1_000], ids=["digests", "packed"])
def test_the_source_goes_on_while_the_index_reads(monkeypatch: pytest.MonkeyPatch, calm: int) -> None:
    monkeypatch.setattr(packed_walk, "CALM_CHUNKS", calm)
    source = Side()
    with ThreadPoolExecutor(1) as mine, ThreadPoolExecutor(1) as theirs:
        pace = Pace(FEWEST_ROWS, lambda: 0.0)
        walk = PackedWalk(source, Side(ahead=source), 1, KeyCodec.INTEGER, mine, theirs, pace=pace)
        looks = list(islice(walk.looks(None), 4))
        source.digest(1, 0, None, 1)  # for the range that is still asked for
    ends = [int(str(look.upto)) for look in looks]
    assert [look.scanned for look in looks] == [end - begin for begin, end in pairwise([0, *ends])]
    assert not any(look.suspects for look in looks)
