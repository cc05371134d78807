"""The daily word: when it is due, what it says, once a day to each operator, and that its absence is noticed."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from pytest_django import Settings

from monitoring.alerts.daily import say_daily_word, was_said
from monitoring.alerts.models import Notification
from monitoring.alerts.texts import render
from monitoring.schedules.daily import Day, JobDay, last_due, of_day
from monitoring.schedules.models import Monitor, Run, RunState
from tests.monitoring.scheduled import make_scheduled_job

pytest_plugins = ["tests.fixtures_sync"]

SEVEN = datetime(2026, 11, 21, 7, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PARIS = ZoneInfo("Europe/Paris")


@pytest.fixture
def wanted(settings: Settings) -> Settings:
    settings.DAILY_WORD_AT, settings.DAILY_WORD_ZONE = time(7), ZoneInfo("UTC")
    settings.EMAIL_HOST, settings.EMAIL_BACKEND = "mail.example.com", "django.core.mail.backends.smtp.EmailBackend"
    settings.ALERT_OPERATORS = ["ann@example.com", "Bob@example.com"]
    return settings


class TestDue:
    """Pure."""

    def test_today_from_its_time_on_and_yesterday_before(self) -> None:
        assert last_due(time(7), ZoneInfo("UTC"), SEVEN) == SEVEN
        assert last_due(time(7), ZoneInfo("UTC"), SEVEN - timedelta(seconds=1)) == SEVEN - DAY

    def test_by_the_wall_of_its_zone_across_a_change_of_clock(self) -> None:
        day_of_change = datetime(2026, 3, 29, 12, 0, tzinfo=UTC)
        assert last_due(time(7), PARIS, day_of_change) == datetime(2026, 3, 29, 5, 0, tzinfo=UTC)
        assert last_due(time(7), PARIS, day_of_change - DAY) == datetime(2026, 3, 28, 6, 0, tzinfo=UTC)


def test_what_it_says() -> None:
    good = Day(SEVEN - DAY, SEVEN, (JobDay("sweep", done=24), JobDay("sync", done=1)), (), (), 0, ())
    assert (good.all_well, good.sentence()) == (True, "All 25 runs of 2 scheduled jobs ran.")
    bad = Day(SEVEN - DAY, SEVEN, (JobDay("sweep", done=22, failed=2), JobDay("sync", missed=1)), ("x",), (), 2, ("b",))
    assert bad.sentence() == (
        "Not run, or failed: 3 (sweep, sync); due and not started: 1 (x); monitors down: 1 (b). 22 runs ended well."
    )
    assert bad.context()["jobs"] == ["sweep: 2 failed, 22 done", "sync: 1 missed"]


@pytest.mark.usefixtures("committed")
class TestSaying:
    def run(self, name: str, state: RunState, at: datetime, count: int = 1) -> None:
        job = make_scheduled_job(name, since=SEVEN + HOUR)
        Run.objects.create(scheduled_job=job, due_at=at, state=state, count=count, trace_id=uuid4())

    def test_of_the_day_and_of_nothing_else(self) -> None:
        self.run("sweep", RunState.DONE, SEVEN - HOUR)
        self.run("sync", RunState.MISSED, SEVEN - DAY, count=7)
        self.run("old", RunState.FAILED, SEVEN - DAY - HOUR)
        self.run("next", RunState.FAILED, SEVEN)
        make_scheduled_job("stuck", since=SEVEN - HOUR)
        make_scheduled_job("off", since=SEVEN + HOUR, enabled=False)
        Monitor.objects.create(name="backup", period=DAY, stored="down")
        day = of_day(SEVEN - DAY, SEVEN)
        assert day.jobs == (JobDay("sweep", done=1), JobDay("sync", missed=7))
        assert (day.not_fired, day.disabled, day.down, day.monitors) == (("stuck",), ("off",), ("backup",), 1)

    def test_once_a_day_to_each_operator(self, wanted: Settings) -> None:
        self.run("sweep", RunState.DONE, SEVEN - HOUR)
        assert [say_daily_word(SEVEN + n * HOUR) for n in (0, 0, 5, 23)] == [2, 0, 0, 0]
        assert say_daily_word(SEVEN + DAY) == 2
        first = Notification.objects.earliest("pk")
        assert (first.to, first.key) == ("ann@example.com", "daily-word:2026-11-21:ann@example.com")
        text = render(first.template, first.context)
        assert text.subject == "[All ran] Nothing is missing: 1 run ended well."
        assert "sweep: 1 done" in text.plain
        assert "<li>sweep: 1 done</li>" in text.html

    def test_a_clock_that_comes_back_later_still_says_it(self, wanted: Settings) -> None:
        assert say_daily_word(SEVEN + 9 * HOUR) == 2

    def test_its_absence_fails_a_check_after_an_hour(self, wanted: Settings) -> None:
        assert was_said(SEVEN)  # a console that is younger than a day
        assert not was_said(SEVEN + 2 * HOUR)
        say_daily_word(SEVEN + 2 * HOUR)
        assert not was_said(SEVEN + 2 * HOUR)
        Notification.objects.update(state="delivered")
        assert was_said(SEVEN + 2 * HOUR)
        assert was_said(SEVEN + DAY)
        assert not was_said(SEVEN + DAY + 2 * HOUR)

    def test_nothing_is_said_or_missed_without_a_time_a_server_or_anybody_to_tell(self, wanted: Settings) -> None:
        wanted.EMAIL_HOST = ""
        assert (say_daily_word(SEVEN), was_said(SEVEN + 2 * HOUR)) == (0, True)
        wanted.EMAIL_HOST, wanted.DAILY_WORD_AT = "mail.example.com", None
        assert (say_daily_word(SEVEN), was_said(SEVEN + 2 * HOUR)) == (0, True)
        wanted.DAILY_WORD_AT, wanted.ALERT_OPERATORS = time(7), []
        assert (say_daily_word(SEVEN), was_said(SEVEN + 2 * HOUR)) == (0, True)
