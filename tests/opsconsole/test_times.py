"""Times as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.errors import UsageError
from opsconsole.times import parse_time, parse_window

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment", "assumed"),
    [
        ("2026-03-01 12:00:00", NOON, True),
        ("2026-03-01T12:00", NOON, True),
        (" 2026-03-01T12:00:00Z ", NOON, False),
        ("2026-03-01T13:00:00+01:00", NOON, False),
        ("2026-03-01", NOON - timedelta(hours=12), True),
        ("2026-03-01T12:00:00.000001Z", NOON + timedelta(microseconds=1), False),
    ],
)
def test_what_is_read(text: str, moment: datetime, assumed: bool) -> None:
    assert parse_time(text, "--from") == (moment, assumed)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-02-30", "01.03.2026", "12:00", "2026-03-01 25:00", "1e9"])
def test_what_is_no_time_is_named_with_what_is_allowed(text: str) -> None:
    with pytest.raises(UsageError, match="is no time; allowed is") as refused:
        parse_time(text, "--to")
    assert f"--to {text!r}" in str(refused.value)


def test_a_time_that_utc_cannot_hold() -> None:
    with pytest.raises(UsageError, match="outside of what a clock can show"):
        parse_time("0001-01-01T00:00:00+05:00", "--from")


def test_a_window_says_what_it_assumed() -> None:
    window, notes = parse_window("2026-03-01", "2026-03-02T00:00Z")
    assert (window.start, window.end, len(notes)) == (NOON - timedelta(hours=12), NOON + timedelta(hours=12), 1)
    assert "--from" in notes[0]
    assert "UTC" in notes[0]
    assert str(window) == "[2026-03-01 00:00:00, 2026-03-02 00:00:00) UTC"
    assert parse_window("2026-03-01T00:00Z", "2026-03-02T00:00Z")[1] == []


@pytest.mark.parametrize("end", ["2026-03-01 12:00", "2026-03-01 11:59", "2026-03-01T13:00+02:00"])
def test_an_empty_or_backward_window_is_refused(end: str) -> None:
    with pytest.raises(UsageError, match="is not before"):
        parse_window("2026-03-01 12:00", end)


@given(st.datetimes(timezones=st.timezones(), min_value=datetime(1900, 1, 2), max_value=datetime(2999, 1, 1)))  # noqa: DTZ001
def test_any_written_time_is_read_again(moment: datetime) -> None:
    assert parse_time(moment.isoformat(), "--from") == (moment.astimezone(UTC), False)
