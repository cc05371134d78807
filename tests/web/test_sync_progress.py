"""Pace and time left: nothing with too little to go by, never more exact than is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sync.models import Attempt, Job
from sync.progress import LEAST_SECONDS, pace
from sync.reading import pace_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_no_pace_with_too_little_to_go_by() -> None:
    assert pace(10_000, LEAST_SECONDS - 0.1, 5_000) is None
    assert pace(0, 60, 5_000) is None
    assert pace(100, -5, 5_000) is None  # the clocks of two machines


def test_a_rate_alone_where_the_end_is_not_known_or_reached() -> None:
    for left in (None, 0):
        found = pace(1_000, 10, left)
        assert found is not None
        assert (found.rate, found.least, found.most) == (100, None, None)


def test_a_range_around_the_plain_division() -> None:
    found = pace(60_000, 60, 60_000)
    assert found is not None
    assert found.least is not None
    assert found.most is not None
    assert 40 <= found.least <= 60 <= found.most <= 120


@given(scanned=st.integers(1, 10**9), seconds=st.floats(3, 10**6), left=st.integers(1, 10**9))
def test_every_range_is_in_order_and_says_something(scanned: int, seconds: float, left: int) -> None:
    found = pace(scanned, seconds, left)
    assert found is not None
    assert found.least is not None
    assert found.most is not None
    assert 0 < found.least <= found.most
    assert found.most >= left / found.rate


@given(seconds=st.floats(3, 3_000))
def test_the_longer_it_was_measured_the_narrower(seconds: float) -> None:
    early, late = pace(round(seconds * 1_000), seconds, 10**8), pace(round(seconds * 4_000), seconds * 4, 10**8)
    assert early is not None
    assert late is not None
    assert early.least is not None
    assert early.most is not None
    assert late.least is not None
    assert late.most is not None
    assert late.most / late.least <= early.most / early.least * 1.2


def test_pace_counts_what_this_attempt_scanned_only() -> None:
    job = Job(scanned=9_000, expected=10_000)
    attempt = Attempt(started_at=NOON, scanned_before=8_000)
    found = pace_of(job, [attempt], NOON + timedelta(seconds=10))
    assert found is not None
    assert found.rate == 100
    assert found.least is not None


def test_pace_of_an_attempt_that_has_ended_tells_no_time_left() -> None:
    job = Job(scanned=9_000, expected=10_000)
    attempt = Attempt(
        started_at=NOON, ended_at=NOON + timedelta(seconds=10), outcome="done", scanned_before=0, scanned_after=5_000
    )
    found = pace_of(job, [attempt], NOON + timedelta(days=1))
    assert found is not None
    assert (found.rate, found.most) == (500, None)
    assert pace_of(job, [], NOON) is None
