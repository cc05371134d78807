"""The overview: every declared signal, since when, at the same cost with nothing and with much."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import redis
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import strip_tags

from monitoring.pipeline import beats
from monitoring.pipeline.models import CanaryRound, Sample, SignalState
from monitoring.pipeline.operations.looking import look_at_signals
from opsconsole import audit, overview
from opsconsole.access import Role
from opsconsole.clock.lease import LeaseKeeper
from opsconsole.errors import UnavailableError
from opsconsole.overview import Reading, overview_signal
from opsconsole.tones import Tone
from sync.models import Job, JobState
from tests.sync.jobs import claim, make_job
from tests.web.sync_rows import client_of

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.usefixtures("committed", "use_estate")

NAMES = {"canary", "lag", "queues", "workers", "jobs"}


def page(role: Role = Role.VIEWER) -> str:
    answer = client_of(role).get("/pipeline/overview/")
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> dict[str, Reading | None]:
    """A signal `mine` that says what the test puts here."""
    said: dict[str, Reading | None] = {}
    monkeypatch.setattr(overview, "_registered", dict(overview._registered))
    overview_signal("mine", "My signal", order=99)(lambda _: said["mine"])
    return said


def reading(tone: Tone, **fields: Any) -> Reading:
    values: dict[str, Any] = {"value": 1, "shown": "one", "tone": tone, "sentence": "Do this.", "address": "/x/"}
    return Reading(**(values | fields))


class TestLooking:
    def test_every_signal_is_kept_and_the_first_page_shows_them(self, queue: redis.Redis) -> None:
        assert look_at_signals(timezone.now()) >= len(NAMES)
        assert set(SignalState.objects.values_list("name", flat=True)) >= NAMES
        assert client_of(Role.VIEWER).get("/").headers["Location"] == "/pipeline/overview/"
        text = page()
        for label in ("Drift canary", "Consumer lag", "Queues", "Workers", "Failed and looping jobs"):
            assert label in text
        assert "No worker is alive: start one." in text

    def test_since_is_when_the_tone_changed(self, declared: dict[str, Reading | None]) -> None:
        start = timezone.now()
        minute = timedelta(minutes=1)
        for place, tone in enumerate((Tone.FINE, Tone.PROBLEM, Tone.PROBLEM)):
            declared["mine"] = reading(tone)
            look_at_signals(start + place * minute)
        state = SignalState.objects.get(pk="mine")
        assert (state.since, state.looked_at) == (start + minute, start + 2 * minute)
        assert Sample.objects.filter(subject="signal:mine").count() == 3

    def test_a_part_may_know_since_when_better(self, declared: dict[str, Reading | None]) -> None:
        began = timezone.now() - timedelta(hours=3)
        declared["mine"] = reading(Tone.PROBLEM, since=began)
        look_at_signals(timezone.now())
        assert SignalState.objects.get(pk="mine").since == began

    def test_one_that_is_not_here_is_not_shown(self, declared: dict[str, Reading | None]) -> None:
        declared["mine"] = reading(Tone.FINE)
        look_at_signals(timezone.now())
        declared["mine"] = None
        look_at_signals(timezone.now())
        assert not SignalState.objects.filter(pk="mine").exists()

    def test_one_that_cannot_be_read_keeps_no_other_from_it(
        self, declared: dict[str, Reading | None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        declared["mine"] = reading(Tone.PROBLEM)
        look_at_signals(timezone.now())

        def fail(_: object) -> Reading:
            raise UnavailableError("It is away.")

        overview_signal("mine", "My signal", order=0)(fail)
        look_at_signals(timezone.now() + timedelta(minutes=1))
        assert SignalState.objects.get(pk="mine").tone == Tone.PROBLEM
        assert SignalState.objects.get(pk="jobs").looked_at > SignalState.objects.get(pk="mine").looked_at


class TestReadings:
    def tone_of(self, name: str) -> tuple[str, str]:
        look_at_signals(timezone.now())
        state = SignalState.objects.get(pk=name)
        return state.tone, state.sentence

    def test_failed_and_looping_jobs_of_a_day(self) -> None:
        assert self.tone_of("jobs")[0] == Tone.FINE
        make_job(state=JobState.FAILED, ended_at=timezone.now())
        make_job(state=JobState.LOOPING, ended_at=timezone.now())
        make_job(state=JobState.FAILED, ended_at=timezone.now() - timedelta(days=2))
        tone, sentence = self.tone_of("jobs")
        assert tone == Tone.PROBLEM
        assert sentence.startswith("1 failed and 1 looping within a day")

    def test_workers_by_their_own_signs(self) -> None:
        beats.beat("w", ["high"], 0)
        assert self.tone_of("workers") == (Tone.FINE, "All alive; 0 of 1 work.")

    def test_drift_leads_to_the_affected_organizations(self) -> None:
        now = timezone.now()
        CanaryRound.objects.create(
            at=now,
            seconds=1,
            compared=600,
            stale=30,
            found=90,
            organizations=4,
            window_from=now - timedelta(minutes=50),
            window_to=now - timedelta(minutes=10),
        )
        assert self.tone_of("canary")[0] == Tone.PROBLEM
        text = page(Role.OPERATOR)
        assert "30 of 600 sampled tasks differ between source and index; 90 tasks of 4 organizations found." in text
        assert 'action="/sync/affected/run/"' in text


class TestCost:
    def queries(self) -> int:
        client = client_of(Role.VIEWER)
        with CaptureQueriesContext(connection) as captured:
            assert client.get("/pipeline/overview/").status_code == 200
        return len(captured)

    def test_the_same_with_nothing_and_with_much(self) -> None:
        look_at_signals(timezone.now())
        few = self.queries()
        now = timezone.now()
        Job.objects.bulk_create(
            Job(organization_id=str(n), trace_id="0" * 32, created_by="t", state=JobState.DONE) for n in range(5_000)
        )
        for _ in range(15):
            claim(make_job())
        Sample.objects.bulk_create(
            Sample(subject="signal:jobs", at=now - timedelta(minutes=n), figures={"value": n}) for n in range(1, 3_000)
        )
        CanaryRound.objects.bulk_create(CanaryRound(at=now - timedelta(minutes=n), seconds=0.1) for n in range(2_000))
        assert self.queries() <= few + 1
        assert few <= 16


class TestActs:
    def test_only_what_people_did(self) -> None:
        for number, actor in enumerate((audit.CLOCK, audit.Actor("ada", audit.Door.PAGE))):
            audit.record(actor, "batch.paused", f"batch:{number}", reason="too much")
        text = page()
        assert "ada: batch.paused batch:1 (too much)" in " ".join(strip_tags(text).split())
        assert "batch:0" not in text


class TestClock:
    def test_a_clock_that_is_gone_is_said(self) -> None:
        assert "No clock has ever run here" in page()
        LeaseKeeper("tests").hold()
        assert "No clock" not in page()
