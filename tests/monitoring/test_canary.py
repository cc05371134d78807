"""The drift canary: it finds a gap, says its window, and is quiet where nothing is wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from monitoring.pipeline import limits
from monitoring.pipeline.drift import affected_address, drift_now
from monitoring.pipeline.models import CanaryRound
from monitoring.pipeline.operations import canary
from opsconsole import estate
from opsconsole.access import Role
from opsconsole.tones import Tone
from tests.company import Company, EstateWriter
from tests.web.sync_rows import client_of

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.usefixtures("committed", "use_estate")

COMPLETE = "UPDATE tasks SET title = 'lost', version = version + 1, updated_at = %s WHERE id = %s"


def a_round(**wanted: Any) -> CanaryRound:
    now = limits.current()
    return canary.run_round(estate.current(), replace(now, **wanted), timezone.now())


def lose(company: Company, count: int, minutes_ago: float) -> None:
    """Change `count` tasks, a second apart, and tell nobody."""
    tasks = [task for organization in company.organizations() for task in company.tasks(organization)][:count]
    start = timezone.now() - timedelta(minutes=minutes_ago)
    for place, task in enumerate(tasks):
        company.in_source(COMPLETE + " RETURNING 1", start + timedelta(seconds=place), task)


class TestRound:
    def test_nothing_differs(self, company: Company) -> None:
        found = a_round()
        assert (found.error, found.differing, found.found, found.window_from) == ("", 0, 0, None)
        assert found.compared >= 500
        assert drift_now(2).tone is Tone.FINE

    def test_a_gap_is_found_with_its_whole_window(self, company: Company) -> None:
        lose(company, 40, minutes_ago=10)
        found = a_round(canary_recent=10, canary_random=0)
        assert (found.compared, found.stale) == (10, 10)
        assert (found.found, found.whole) == (40, True)
        assert found.window_from
        assert found.window_to
        assert timedelta(seconds=39) <= found.window_to - found.window_from <= timedelta(seconds=42)
        drift = drift_now(2)
        assert drift.tone is Tone.PROBLEM
        assert "10 of 10 sampled tasks differ between source and index; 40 tasks of" in drift.sentence

    def test_the_window_holds_every_affected_task(self, company: Company) -> None:
        lose(company, 7, minutes_ago=30)
        a_round()
        window = drift_now(2).window
        assert window is not None
        rows = company.in_source(
            "SELECT count(*) FROM tasks WHERE title = 'lost' AND updated_at >= %s AND updated_at < %s",
            window.start,
            window.end,
        )
        assert rows == [(7,)]

    def test_a_gap_among_old_updates_is_met_by_random_moments(self, company: Company) -> None:
        lose(company, 60, minutes_ago=40)
        company.in_source(
            "UPDATE tasks SET updated_at = now() - interval '20 seconds' WHERE title <> 'lost' RETURNING 1"
        )
        found = a_round(canary_recent=5, canary_random=400, canary_reach=3_600.0)
        assert found.stale > 0
        assert found.found == 60

    def test_what_is_younger_than_the_settle_time_is_left_alone(
        self, company: Company, use_estate: EstateWriter
    ) -> None:
        use_estate(settle_time="60s")
        lose(company, 5, minutes_ago=0.2)
        assert a_round().differing == 0

    def test_an_outage_is_a_round_that_says_so(self, company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("INDEX_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
        estate.reset()
        found = a_round()
        assert "cannot be reached" in found.error
        assert drift_now(2).tone is Tone.PROBLEM

    def test_a_round_is_due_only_after_its_time(self, company: Company) -> None:
        now = timezone.now()
        assert canary.run_due(now) is not None
        assert canary.run_due(now + timedelta(seconds=170)) is None
        assert canary.run_due(now + timedelta(seconds=181)) is not None


class TestSinceWhen:
    def rounds(self, *differing: int) -> None:
        now = timezone.now().replace(microsecond=0)
        CanaryRound.objects.bulk_create(
            CanaryRound(
                at=now - timedelta(minutes=len(differing) - place),
                seconds=0.1,
                compared=100,
                stale=stale,
                found=stale,
                organizations=1,
                window_from=now - timedelta(hours=1, minutes=place) if stale else None,
                window_to=now - timedelta(minutes=50 - place) if stale else None,
            )
            for place, stale in enumerate(differing)
        )

    def test_the_first_of_the_bad_rounds_in_a_row_counts(self) -> None:
        self.rounds(9, 0, 5, 6, 7)
        drift, rounds = drift_now(2), list(CanaryRound.objects.order_by("at"))
        assert drift.since == rounds[2].at
        assert drift.window is not None
        assert (drift.window.start, drift.window.end) == (rounds[4].window_from, rounds[4].window_to)

    def test_within_the_limit_is_fine(self) -> None:
        self.rounds(9, 2)
        assert drift_now(2).tone is Tone.FINE
        assert drift_now(1).tone is Tone.PROBLEM


class TestPage:
    def test_it_leads_to_the_query_filled_in(self, company: Company) -> None:
        lose(company, 8, minutes_ago=10)
        a_round()
        client = client_of(Role.OPERATOR)
        text = client.get("/pipeline/canary/").content.decode()
        window = drift_now(2).window
        assert window is not None
        assert affected_address(window).replace("&", "&amp;") in text
        assert f"{window.start:%Y-%m-%d %H:%M:%S}" in client.get(affected_address(window)).content.decode()

    def test_it_costs_the_same_with_many_rounds(self, django_assert_max_num_queries: Any) -> None:
        now = timezone.now()
        CanaryRound.objects.bulk_create(
            CanaryRound(at=now - timedelta(minutes=n), seconds=0.1, compared=600) for n in range(3_000)
        )
        client = client_of(Role.VIEWER)
        with django_assert_max_num_queries(14):
            assert client.get("/pipeline/canary/").status_code == 200
