"""What the throttle decides, on plain values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.estate import model
from sync.throttle.decision import (
    UNKNOWN_PATIENCE,
    Bucket,
    Cause,
    Figures,
    Limits,
    Rate,
    available,
    gives_up,
    judge,
    portion,
    resume_at,
    seconds_until,
)
from sync.throttle.limits import combine

RATES = st.builds(Rate, st.text(max_size=3), st.just("the estate"), st.integers(1, 100_000))
LAGS = st.integers(0, 10**9)


def reason(limits: Limits, figures: Figures, waiting: Cause | None = None) -> str:
    wait = judge(limits, figures, "task-indexer", waiting)
    return wait.reason if wait else ""


def test_nothing_is_held_back_without_limits() -> None:
    assert judge(Limits(), Figures(), "task-indexer", None) is None


def test_says_who_is_how_far_behind_which_limit() -> None:
    found = reason(Limits(lag=50_000, lag_whose="batch 7"), Figures(lag=120_431))
    assert found == (
        "the group task-indexer is 120,431 messages behind, the limit of batch 7 is 50,000 and it goes on at 40,000"
    )


@given(LAGS, LAGS)
def test_waits_above_the_limit_and_only_then(lag: int, limit: int) -> None:
    assert bool(reason(Limits(lag=limit), Figures(lag=lag))) == (lag > limit)


@given(LAGS, LAGS)
def test_a_job_that_waits_goes_on_later_than_another_would_stop(lag: int, limit: int) -> None:
    goes = not reason(Limits(lag=limit), Figures(lag=lag), Cause.LAG)
    assert goes == (lag <= resume_at(limit))
    assert not goes or not reason(Limits(lag=limit), Figures(lag=lag)), "who goes on does not stop at once"


def test_a_wait_for_something_else_has_no_part_in_the_lag() -> None:
    assert not reason(Limits(lag=100), Figures(lag=90), Cause.SOURCE)


def test_a_lag_that_cannot_be_read_is_waited_for_and_said() -> None:
    wait = judge(Limits(lag=10), Figures(lag_error="Kafka does not tell it"), "task-indexer", None)
    assert wait is not None
    assert (wait.unknown, wait.reason) == (
        True,
        "the lag of the group task-indexer is not known: Kafka does not tell it",
    )


@pytest.mark.parametrize(("value", "error", "waits"), [(True, "", False), (False, "", True), (None, "away", True)])
def test_the_condition_on_the_source(value: bool | None, error: str, waits: bool) -> None:
    wait = judge(Limits(source_condition="true"), Figures(source=value, source_error=error), "g", None)
    assert bool(wait) == waits
    assert wait is None or wait.unknown == bool(error)


def test_a_rate_of_none_at_all_stops_and_says_whose_it_is() -> None:
    assert reason(Limits(rates=(Rate("batch 7", "batch 7", 0),)), Figures()) == (
        "batch 7 lets no messages out, its rate is 0 a second"
    )


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_what_is_not_known_is_borne_for_a_minute(since: float, now: float) -> None:
    assert gives_up(since, now) == (now - since > UNKNOWN_PATIENCE)
    assert not gives_up(None, now)


@given(st.lists(RATES, max_size=3).map(tuple), st.integers(1, 10**6))
def test_a_portion_always_fits_into_every_bucket(rates: tuple[Rate, ...], messages: int) -> None:
    number = portion(rates, messages)
    assert 1 <= number <= messages
    for rate in rates:
        full = available(Bucket(0, 3600), rate.per_second)
        assert seconds_until(number, full, rate.per_second) == 0, "else it would wait for good"


@given(st.integers(1, 1_000), st.lists(st.tuples(st.integers(1, 500), st.floats(0, 3)), max_size=60))
def test_no_more_goes_out_than_the_rate_and_a_second_of_it(rate: int, asks: list[tuple[int, float]]) -> None:
    """Whoever asks, for however many, however long after the last one."""
    tokens, age, passed, sent = 0.0, 0.0, 0.0, 0
    for wanted, later in asks:
        passed, age = passed + later, age + later
        number = portion((Rate("estate", "the estate", rate),), wanted)
        have = available(Bucket(tokens, age), rate)
        if seconds_until(number, have, rate) == 0:
            tokens, age, sent = have - number, 0.0, sent + number
        assert sent <= rate * passed + rate * 1.0 + 1e-6


@given(st.integers(1, 10_000), st.floats(-5, 0))
def test_a_clock_that_went_back_gives_nothing(rate: int, age: float) -> None:
    assert available(Bucket(0.0, age), rate) == 0


@pytest.mark.parametrize(
    ("estate", "batch", "whose"),
    [((None, None), (None, None), None), ((5, 100), (3, None), "the estate"), ((5, 100), (9, 40), "batch 7")],
)
def test_estate_and_batch_hold_both(
    estate: tuple[int | None, int | None], batch: tuple[int | None, int | None], whose: str | None
) -> None:
    limits = combine(model.Throttle(*estate), "batch 7", *batch)
    assert [rate.per_second for rate in limits.rates] == [rate for rate in (estate[0], batch[0]) if rate is not None]
    assert limits.lag == min((lag for lag in (estate[1], batch[1]) if lag is not None), default=None)
    assert whose is None or limits.lag_whose == whose
