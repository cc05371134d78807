"""When schedules are due, across both changes of clock, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsconsole.due import BadScheduleError, Every, next_due, parse_cron, parse_interval, upcoming

SECOND = timedelta(seconds=1)
MOMENTS = st.timedeltas(timedelta(0), timedelta(days=1_500)).map(lambda past: datetime(2024, 1, 1, tzinfo=UTC) + past)


def dues(expression: str, zone: str, after: str, number: int) -> list[str]:
    found = upcoming(parse_cron(expression, zone), datetime.fromisoformat(after), number)
    return [f"{due:%Y-%m-%d %H:%M}" for due in found]


class TestChangesOfClock:
    """2026: Europe/Paris on 29 March and 25 October, America/New_York on 8 March and 1 November."""

    def test_a_time_that_does_not_exist_is_due_once_at_the_next_instant_that_does(self) -> None:
        assert dues("30 2 * * *", "Europe/Paris", "2026-03-28T00:00Z", 3) == [
            *("2026-03-28 01:30", "2026-03-29 01:00", "2026-03-30 00:30"),
        ]
        assert dues("30 2 * * *", "America/New_York", "2026-03-07T00:00Z", 3) == [
            *("2026-03-07 07:30", "2026-03-08 07:00", "2026-03-09 06:30"),
        ]

    def test_a_time_that_comes_twice_is_due_the_first_time_only(self) -> None:
        assert dues("30 2 * * *", "Europe/Paris", "2026-10-24T12:00Z", 2) == ["2026-10-25 00:30", "2026-10-26 01:30"]
        assert dues("30 1 * * *", "America/New_York", "2026-10-31T12:00Z", 2) == [
            *("2026-11-01 05:30", "2026-11-02 06:30"),
        ]

    def test_two_times_pushed_onto_one_instant_are_one_due_time(self) -> None:
        assert dues("0 2,3 * * *", "Europe/Paris", "2026-03-28T12:00Z", 3) == [
            *("2026-03-29 01:00", "2026-03-30 00:00", "2026-03-30 01:00"),
        ]

    @pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
    def test_what_runs_every_quarter_goes_on_by_elapsed_time(self, day: str) -> None:
        found = upcoming(parse_cron("*/15 * * * *", "Europe/Paris"), datetime.fromisoformat(f"{day}T00:00Z"), 12)
        assert {later - sooner for sooner, later in pairwise(found)} == {timedelta(minutes=15)}

    def test_asked_between_the_two_equal_times_it_does_not_go_back(self) -> None:
        assert dues("30 2 * * *", "Europe/Paris", "2026-10-25T01:10Z", 1) == ["2026-10-26 01:30"]


EXPRESSIONS = st.sampled_from(
    ["30 2 * * *", "*/7 * * * *", "0 * * * *", "15 1,2,3 * * 0", "0 0 1 * *", "59 23 L * *", "5 4 * * MON-FRI"]
)
ZONES = st.sampled_from(["UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])


@settings(deadline=None)
@given(EXPRESSIONS, ZONES, MOMENTS)
def test_cron_rises_and_skips_nothing(expression: str, zone: str, moment: datetime) -> None:
    schedule = parse_cron(expression, zone)
    found = upcoming(schedule, moment, 4)
    assert [moment, *found] == sorted({moment, *found})
    for sooner, later in pairwise(found):
        assert next_due(schedule, sooner) == later
        assert next_due(schedule, later - SECOND) == later


@given(st.timedeltas(SECOND, timedelta(days=9)), MOMENTS, MOMENTS)
def test_an_interval_keeps_its_grid_however_often_it_is_started(
    interval: timedelta, anchor: datetime, moment: datetime
) -> None:
    found = upcoming(Every(interval, anchor), moment, 3)
    assert found[0] - interval <= moment < found[0]
    assert all((due - anchor) % interval == timedelta(0) for due in found)


def test_a_schedule_without_a_next_time_has_none() -> None:
    assert next_due(parse_cron("0 0 30 2 1", "UTC"), datetime(2026, 1, 1, tzinfo=UTC)) is not None  # or on Mondays
    assert upcoming(parse_cron("0 0 * 2 MON#5", "UTC"), datetime(2048, 3, 1, tzinfo=UTC), 1) != []


@pytest.mark.parametrize(
    ("expression", "zone", "said"),
    [
        ("* * * *", "UTC", "has 4 fields; five are needed"),
        ("0 * * * * *", "UTC", "has 6 fields"),
        ("61 * * * *", "UTC", "the minute is not valid"),
        ("0 25 * * *", "UTC", "the hour is not valid"),
        ("0 0 31 2 *", "UTC", "the day-of-month is not valid"),
        ("0 0 * * *", "Europe/Pariss", "'Europe/Pariss' is no time zone"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(expression: str, zone: str, said: str) -> None:
    with pytest.raises(BadScheduleError, match=said):
        parse_cron(expression, zone)


@pytest.mark.parametrize("interval", [timedelta(0), timedelta(milliseconds=10), timedelta(days=400)])
def test_an_interval_out_of_bounds_is_refused(interval: timedelta) -> None:
    with pytest.raises(BadScheduleError, match="from 1 s to 366 days"):
        parse_interval(interval, datetime(2026, 1, 1, tzinfo=UTC))


def test_schedules_read_as_a_person_writes_them() -> None:
    assert str(parse_cron(" 0  6 * * 1 ", "Europe/Paris")) == "0 6 * * 1 (Europe/Paris)"
    assert [str(Every(timedelta(seconds=number), datetime(2026, 1, 1, tzinfo=UTC))) for number in (60, 90, 86_400)] == [
        *("every 1 minute", "every 90 seconds", "every 1 day"),
    ]
