"""RQ's registries against the rows: which entry is wrong, and which row is lost. Decisions on plain values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.registries.compare import compare, difference_of
from sync.registries.values import PAST_PLACES, Difference, Entry, Place, Registry, Row, Snapshot, Standing

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(hours=1)


def key_of(rq_id: str) -> str:
    return rq_id


def entry(place: Place, number: int, *, live: bool = False, function: str = "f") -> Entry:
    rq_id = f"row-{number}"
    return Entry("default", place, rq_id.encode(), rq_id, function, LONG_AGO, "w", live)


def row(number: int, standing: Standing, *, worker: str = "") -> Row:
    should_wait = standing is Standing.WAITING
    return Row(f"row-{number}", "Row", "state", standing, worker=worker, should_wait=should_wait)


entries = st.builds(
    entry, st.sampled_from(Place), st.integers(0, 8), live=st.booleans(), function=st.sampled_from(["", "f"])
)
rows = st.dictionaries(st.integers(0, 8), st.sampled_from(Standing)).map(
    lambda standings: {f"row-{number}": row(number, standing) for number, standing in standings.items()}
)


def snapshot_of(found: list[Entry]) -> Snapshot:
    places = [(place, tuple(one for one in found if one.place is place)) for place in Place]
    return Snapshot(tuple(Registry("default", place, len(some), some) for place, some in places), frozenset({"w"}))


def waiting_of(found: list[Entry]) -> set[str]:
    return {one.rq_id for one in found if one.place is Place.WAITING}


@given(st.lists(entries, unique_by=lambda one: (one.place, one.rq_id)), rows)
def test_after_a_repair_nothing_differs(found: list[Entry], rows: dict[str, Row]) -> None:
    first = compare(snapshot_of(found), rows, waiting_of(found), key_of, NOW)
    wrong = first.entries()
    left = [one for one in found if one not in wrong and one.place not in PAST_PLACES]
    pushed = [entry(Place.WAITING, int(one.key.removeprefix("row-"))) for one in first.lost()]
    assert compare(snapshot_of(left + pushed), rows, waiting_of(left + pushed), key_of, NOW).differences == ()


@given(st.lists(entries, unique_by=lambda one: (one.place, one.rq_id)), rows)
def test_no_entry_is_taken_from_a_live_worker_nor_from_a_row_that_waits(
    found: list[Entry], rows: dict[str, Row]
) -> None:
    for one in compare(snapshot_of(found), rows, waiting_of(found), key_of, NOW).differences:
        if one.entry is None:
            continue
        assert not one.entry.live
        if one.row and one.row.standing is Standing.WAITING and one.entry.readable:
            assert one.entry.place is Place.STARTED


@pytest.mark.parametrize(
    ("place", "standing", "difference"),
    [
        (Place.WAITING, None, Difference.ORPHAN),
        (Place.WAITING, Standing.ENDED, Difference.ENDED),
        (Place.WAITING, Standing.AT_WORK, Difference.AT_WORK),
        (Place.WAITING, Standing.WAITING, None),
        (Place.STARTED, Standing.WAITING, Difference.NOT_AT_WORK),
        (Place.STARTED, Standing.AT_WORK, None),
        (Place.INTERMEDIATE, Standing.AT_WORK, None),
        (Place.SCHEDULED, None, Difference.ORPHAN),
    ],
)
def test_each_difference(place: Place, standing: Standing | None, difference: Difference | None) -> None:
    assert difference_of(entry(place, 1), standing and row(1, standing), NOW) is difference


def test_what_asks_for_help_may_wait_while_its_job_is_at_work() -> None:
    asked = Entry("default", Place.WAITING, b"", "sync-help-1-a", "f", LONG_AGO)
    assert difference_of(asked, row(1, Standing.AT_WORK), NOW) is None
    assert difference_of(asked, row(1, Standing.ENDED), NOW) is Difference.ENDED


def test_a_row_at_work_names_a_worker_that_rq_does_not_know() -> None:
    rows = {"row-1": row(1, Standing.AT_WORK, worker="w"), "row-2": row(2, Standing.AT_WORK, worker="gone")}
    (found,) = compare(snapshot_of([]), rows, (), key_of, NOW).differences
    assert (found.kind, found.row) == (Difference.WORKER_UNKNOWN, rows["row-2"])
