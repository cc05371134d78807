"""The plan of the faults: properties of the pure planner, for any seed and any choice of faults."""

from __future__ import annotations

from collections.abc import Collection
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.faults.inject import BLOWS, ORDER
from tests.faults.plan import (
    HTTP_INDEX,
    LONGEST_OUTAGE,
    MOST_CHUNKS,
    PLANNED,
    THREE_BROKERS,
    WALKING,
    Fault,
    Moment,
    Round,
    Strike,
    plan_rounds,
    quick_rounds,
)

SEEDS = st.integers(0, 2**31)
CHOICES = st.sets(st.sampled_from(Fault), min_size=1)


def sets_of(rounds: Collection[Round]) -> list[frozenset[Fault]]:
    return [frozenset(strike.fault for strike in one.strikes) for one in rounds]


@given(SEEDS, st.integers(0, 40), st.integers(0, 40), CHOICES)
def test_the_same_seed_gives_the_same_plan_and_a_longer_one_begins_with_it(
    seed: int, rounds: int, more: int, faults: set[Fault]
) -> None:
    planned = plan_rounds(seed, rounds, faults)
    assert len(planned) == rounds
    assert plan_rounds(seed, rounds + more, sorted(faults, reverse=True))[:rounds] == planned


@given(SEEDS, CHOICES)
def test_each_fault_comes_alone_and_then_each_pair_once(seed: int, faults: set[Fault]) -> None:
    pairs = {frozenset(pair) for pair in combinations(faults, 2)}
    sets = sets_of(plan_rounds(seed, len(faults) + len(pairs), faults))
    assert set(sets[: len(faults)]) == {frozenset({fault}) for fault in faults}
    assert set(sets[len(faults) :]) == pairs


@given(SEEDS, CHOICES)
def test_the_quick_set_has_every_fault_once(seed: int, faults: set[Fault]) -> None:
    struck = [strike.fault for one in quick_rounds(seed, faults) for strike in one.strikes]
    assert sorted(struck) == sorted(faults)
    assert len(quick_rounds(seed, faults)) == (len(faults - THREE_BROKERS) + 1) // 2 + len(faults & THREE_BROKERS)


@given(SEEDS)
def test_the_quick_set_loses_one_fault_alone_where_there_is_no_apache_kafka(seed: int) -> None:
    three = [one for one in quick_rounds(seed) if one.needs_three_brokers]
    assert sets_of(three) == [THREE_BROKERS]


@given(SEEDS, st.integers(1, 60))
def test_every_strike_can_be_made(seed: int, rounds: int) -> None:
    for one in plan_rounds(seed, rounds):
        assert not one.index_late or {strike.moment for strike in one.strikes} <= WALKING
        places = [list(Moment).index(strike.moment) for strike in one.strikes]
        assert places == sorted(places), "a later strike cannot wait for an earlier moment"
        for strike in one.strikes:
            assert 1 <= strike.number <= MOST_CHUNKS
            assert 0 < strike.outage <= LONGEST_OUTAGE


@given(SEEDS)
def test_moments_differ_between_seeds_and_all_of_them_come(seed: int) -> None:
    moments = {strike.moment for one in plan_rounds(seed, 200) for strike in one.strikes}
    assert moments == set(Moment)


@given(SEEDS)
def test_every_fault_strikes_jobs_in_ranges_too_where_the_index_has_them(seed: int) -> None:
    """An index behind HTTP is walked in one."""
    in_ranges = {strike.fault for one in plan_rounds(seed, 400) if one.split for strike in one.strikes}
    assert in_ranges == set(PLANNED) - HTTP_INDEX


def test_nothing_to_strike_is_no_plan() -> None:
    assert (plan_rounds(1, 5, ()), quick_rounds(1, ())) == ([], [])


def test_a_round_is_told_in_words() -> None:
    strikes = (Strike(Fault.CLOCK_KILLED, Moment.COMMIT, 3, 1.0), Strike(Fault.WEB_KILLED, Moment.END, 1, 1.0))
    assert str(Round(1, "1 1", strikes, together=False, index_late=False, split=True)) == (
        "clock killed (between publish and commit 3), then web killed (while ending 1), in ranges"
    )


@pytest.mark.parametrize("fault", sorted(Fault))
def test_every_fault_can_be_injected(fault: Fault) -> None:
    assert fault in BLOWS
    assert fault in ORDER
