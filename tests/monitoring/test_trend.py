"""Whether a count moves: the slope outlasts bad counts, the direction is what it is, and the sentence says no more."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from monitoring.records.trend import (
    Direction,
    Point,
    Trend,
    about,
    began_to_rise,
    movement,
    sentence,
    slope,
    span,
    trend_of,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
EVERY = timedelta(minutes=5)


def points(counts: list[int], aged: list[int] | None = None, every: timedelta = EVERY) -> list[Point]:
    """The last one is now."""
    last = len(counts) - 1
    gone = aged or [0] * len(counts)
    return [Point(NOW - every * (last - place), count, gone[place]) for place, count in enumerate(counts)]


def series(number: int, at: Callable[[int], float]) -> list[Point]:
    return points([max(0, round(at(place))) for place in range(number)])


def test_the_sentence_that_people_want() -> None:
    falling = trend_of(series(13, lambda place: 472 - 5 * place))
    assert sentence("processing", falling, NOW) == "processing: 412, falling about 60 an hour, empty in about 7 hours"


def test_rising_says_since_when() -> None:
    flat_then_up = trend_of(points([40] * 45 + [40 + 6 * place for place in range(1, 29)]))
    assert flat_then_up.direction is Direction.RISING
    assert sentence("processing", flat_then_up, NOW).endswith("rising about 72 an hour since 09:40 UTC")


def test_a_rise_that_began_before_anything_is_known() -> None:
    trend = trend_of(series(30, lambda place: 10 + 4 * place))
    assert not trend.known_since
    assert "since before 09:35 UTC" in movement(trend, NOW)


def test_a_rise_begins_after_the_last_fall() -> None:
    up_down_up = [*range(0, 300, 10), *range(300, 200, -10), *range(200, 320, 10)]
    since, known = began_to_rise(points(up_down_up))
    assert abs(since - (NOW - EVERY * 11)) <= EVERY  # a single lowest count could be a spike
    assert known


def test_a_fall_that_is_only_age_is_called_so() -> None:
    """Nobody works: all that leaves the window has grown too old for it."""
    trend = trend_of(points([400 - 8 * place for place in range(13)], [8] * 13))
    assert trend.direction is Direction.AGEING
    assert trend.empty_in is None
    assert "nothing is worked off" in movement(trend, NOW)


def test_a_fall_by_work_and_by_age_says_both() -> None:
    trend = trend_of(points([400 - 8 * place for place in range(13)], [3] * 13))
    assert trend.direction is Direction.FALLING
    assert movement(trend, NOW).endswith("(36 an hour grow too old for the window)")


@pytest.mark.parametrize("number", [1, 2, 3])
def test_too_few_counts_say_nothing(number: int) -> None:
    trend = trend_of(points([50 + 30 * place for place in range(number)]))
    assert trend.direction is Direction.UNKNOWN
    assert trend.empty_in is None


def test_nothing_and_steady() -> None:
    assert movement(trend_of(points([0] * 12)), NOW) == "none"
    assert movement(trend_of(points([412] * 12)), NOW) == "412, steady"
    assert movement(trend_of(points([410, 412, 411, 413, 410, 412, 411, 410, 412, 411])), NOW) == "411, steady"


def test_a_long_silence_is_no_trend() -> None:
    """The clock was down until twenty minutes ago... but only three snapshots have been taken since."""
    old = [Point(NOW - timedelta(hours=5) + EVERY * place, 900 - place) for place in range(20)]
    assert trend_of([*old, *points([500, 450, 400])]).direction is Direction.UNKNOWN


@given(
    rate=st.integers(-40, 40),
    start=st.integers(600, 5_000),
    wrong=st.dictionaries(st.integers(0, 12), st.integers(0, 100_000), max_size=2),
)
def test_two_bad_counts_in_an_hour_do_not_turn_the_slope(rate: int, start: int, wrong: dict[int, int]) -> None:
    hours = [place / 12 for place in range(13)]
    counts = [float(wrong.get(place, start + rate * place)) for place in range(13)]
    found = slope(hours, counts)
    assert abs(found - rate * 12) <= max(12.0, abs(rate) * 12 * 0.5)


@given(st.lists(st.integers(0, 1_000), min_size=4, max_size=80), st.integers(0, 5_000))
def test_adding_a_constant_moves_no_slope(counts: list[int], more: int) -> None:
    hours = [place / 12 for place in range(len(counts))]
    assert slope(hours, [count + more for count in counts]) == pytest.approx(
        slope(hours, [float(one) for one in counts])
    )


@given(st.lists(st.integers(1, 1_000), min_size=4, max_size=40))
def test_a_series_read_backwards_moves_the_other_way(counts: list[int]) -> None:
    hours = [place / 12 for place in range(len(counts))]
    forward, backward = slope(hours, [float(one) for one in counts]), slope(hours, [float(one) for one in counts[::-1]])
    assert forward == pytest.approx(-backward)


@given(
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 500)), max_size=90), st.sampled_from([20, 60, 300, 3_600])
)
def test_whatever_is_known_the_trend_holds_together(given: list[tuple[int, int]], seconds: int) -> None:
    known = points([count for count, _ in given], [aged for _, aged in given], timedelta(seconds=seconds))
    trend = trend_of(known)
    assert trend.count == (given[-1][0] if given else 0)
    assert trend.per_hour >= 0
    assert (trend.direction is Direction.NONE) == (bool(given) and trend.count == 0)
    assert (trend.empty_in is not None) == (trend.direction is Direction.FALLING)
    assert trend.empty_in is None or (trend.empty_in >= 0 and math.isfinite(trend.empty_in))
    assert (trend.since is not None) == (trend.direction is Direction.RISING)
    assert trend.since is None or known[0].at <= trend.since <= NOW
    text = sentence("x", trend, NOW)
    assert ("empty in" in text) == (trend.direction is Direction.FALLING)


@given(st.integers(-60, 60), st.integers(0, 300), st.integers(10, 600))
def test_a_straight_line_is_read_as_what_it_is(each: int, start: int, every: int) -> None:
    counts = [start + max(0, -each * 12) + each * place for place in range(13)]
    trend = trend_of(points(counts, every=timedelta(seconds=min(every, 290))))
    per_hour = each * 3600 / min(every, 290)
    assume(min(every, 290) * 12 >= 120)
    assume(counts[-1] > 0 and abs(per_hour) >= max(1, 0.03 * counts[-1]))
    wanted = Direction.RISING if each > 0 else Direction.FALLING
    assert trend.direction is wanted
    assert trend.per_hour == pytest.approx(abs(per_hour))


@given(st.integers(10, 600), st.integers(4, 200))
def test_many_snapshots_are_thinned_and_say_the_same(every: int, rate: int) -> None:
    number = 3_600 // every + 1
    assume(number * every >= 120 and rate * 60 < 10_000)
    counts = [10_000 - round(rate * place * every / 60) for place in range(number)]
    trend = trend_of(points(counts, every=timedelta(seconds=every)))
    if number >= 8:
        assert trend.direction is Direction.FALLING or rate * 60 < 0.021 * counts[-1]
    if trend.direction is Direction.FALLING:
        assert trend.per_hour == pytest.approx(rate * 60, rel=0.1)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(20, "1 minute"), (2_400, "40 minutes"), (25_200, "7 hours"), (100_000, "28 hours"), (260_000, "3 days")],
)
def test_spans(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(("value", "text"), [(0.2, "1"), (7.4, "7"), (64.4, "64"), (1_234, "1,200"), (99.9, "100")])
def test_two_digits(value: float, text: str) -> None:
    assert about(value) == text


def test_a_trend_of_nothing() -> None:
    assert trend_of([]) == Trend(Direction.UNKNOWN, 0)
