"""What the console finds wrong fires an alert, once; and resolves when it is over, silently where people ended it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from monitoring.alerts.conditions import reconciling
from monitoring.alerts.conditions.reconciling import reconcile
from monitoring.alerts.models import Alert
from monitoring.alerts.operations.upkeep import end_incidents
from monitoring.pipeline.models import SignalState
from monitoring.schedules.models import Monitor, Run, RunState, ScheduledJob
from opsconsole.tones import Tone
from sync.models import Batch, BatchState, Job, JobKind, JobState, Mode, SkippedOrganization, SkipReason
from tests.monitoring.alerting import DAY, HOUR, MINUTE, NOW, SECOND, outbox, subscribed

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.django_db


def opened() -> dict[str, str]:
    """Kind of each open alert, by subject."""
    return dict(Alert.objects.open().values_list("subject", "kind"))


def over(kind: str) -> tuple[str, bool]:
    """Why the latest alert of this kind is resolved, and whether silently."""
    alert = Alert.objects.filter(kind=kind, resolved_at__isnull=False).latest("pk")
    return alert.resolved_because, alert.resolved_silently


def signal(name: str, tone: Tone, since: datetime = NOW, sentence: str = "It is bad. Do something.") -> None:
    SignalState.objects.update_or_create(
        name=name,
        defaults={
            "tone": tone,
            "since": since,
            "looked_at": NOW,
            "shown": "3 of 200",
            "sentence": sentence,
            "address": "/pipeline/canary/",
            "action_address": "/sync/affected/?from=1",
        },
    )


def job(name: str = "nightly", **fields: Any) -> ScheduledJob:
    return ScheduledJob.objects.create(name=name, action="operation", interval=HOUR, **fields)


def run(of: ScheduledJob, minutes: int = 0, **fields: Any) -> Run:
    return Run.objects.create(scheduled_job=of, due_at=NOW + minutes * MINUTE, trace_id=uuid4(), **fields)


class TestSignals:
    @pytest.mark.parametrize(
        ("name", "kind"), [("canary", "drift_canary"), ("records.stuck", "stuck_records"), ("lag", "consumer_lag")]
    )
    def test_a_problem_fires_and_resolves(self, name: str, kind: str) -> None:
        signal(name, Tone.PROBLEM, since=NOW - HOUR)
        assert reconcile(NOW) == 1
        assert reconcile(NOW + SECOND) == 0
        alert = Alert.objects.get()
        assert (alert.kind, alert.title, alert.link, alert.count) == (kind, "It is bad", "/sync/affected/?from=1", 1)
        signal(name, Tone.WAITING)  # nothing is known: neither wrong nor over
        assert reconcile(NOW + MINUTE) == 0
        signal(name, Tone.FINE, sentence="All is well.")
        assert reconcile(NOW + HOUR) == 1
        assert over(kind) == ("All is well.", False)

    def test_lag_has_to_last_a_minute_and_the_canary_has_not(self) -> None:
        for name in ("lag", "canary"):
            signal(name, Tone.PROBLEM, since=NOW)
        reconcile(NOW)
        assert set(opened()) == {"canary"}
        reconcile(NOW + MINUTE - SECOND)
        assert set(opened()) == {"canary"}
        reconcile(NOW + MINUTE)
        assert set(opened()) == {"canary", "lag"}

    def test_a_queue_that_somebody_paused_resolves_silently(self) -> None:
        signal("queues", Tone.PROBLEM, since=NOW - HOUR)
        reconcile(NOW)
        signal("queues", Tone.WAITING, sentence="Paused: low.")
        reconcile(NOW)
        assert over("queue_limit") == ("Paused: low.", True)

    def test_a_clock_that_asks_is_not_silent(self) -> None:
        Alert.objects.create(
            kind="clock_silent", subject="clock", title="x", severity="critical", first_at=NOW, last_at=NOW
        )
        reconcile(NOW + MINUTE)
        assert over("clock_silent") == ("A clock is running again.", False)


class TestRuns:
    @pytest.mark.parametrize(
        ("kind", "fields"),
        [
            ("missed_start", {"state": RunState.MISSED, "cause": "No worker was running."}),
            ("missed_start", {"state": RunState.QUEUED, "trouble": "missing_start", "trouble_since": NOW}),
            ("missed_end", {"state": RunState.RUNNING, "trouble": "missing_end", "trouble_since": NOW}),
            ("run_too_long", {"state": RunState.FAILED, "trouble": "too_long", "trouble_since": NOW}),
            ("run_failed", {"state": RunState.FAILED, "error": "no answer"}),
        ],
    )
    def test_each_trouble_fires_and_the_next_good_run_resolves(self, kind: str, fields: dict[str, Any]) -> None:
        nightly = job(owner="ann@example.com")
        bad = run(nightly, **fields)
        assert reconcile(NOW) == 1
        alert = Alert.objects.get()
        assert (alert.kind, alert.subject, alert.owner) == (kind, "job:nightly", "ann@example.com")
        assert alert.seen["run"] == bad.pk
        assert alert.link == f"/schedules/runs/{bad.pk}/"
        assert outbox() == [("fired", "ann@example.com", "queued")]
        run(nightly, 60, state=RunState.DONE)
        reconcile(NOW + HOUR)
        assert opened() == {}
        assert over(kind)[1] is False

    def test_one_that_is_late_and_begins_is_over(self) -> None:
        late = run(job(), state=RunState.QUEUED, trouble="missing_start", trouble_since=NOW)
        reconcile(NOW)
        Run.objects.filter(pk=late.pk).update(state=RunState.RUNNING, trouble="")
        reconcile(NOW)
        assert over("missed_start") == (f"Run {late.pk} has begun.", False)

    def test_what_people_settled_or_switched_off_is_no_recovery(self) -> None:
        ignored, disabled = job("ignored"), job("disabled")
        for one in (ignored, disabled):
            run(one, state=RunState.MISSED)
        subscribed()
        reconcile(NOW)
        Run.objects.filter(scheduled_job=ignored).update(settled_at=NOW, settled_by="ann", settled_reason="holiday")
        ScheduledJob.objects.filter(name="disabled").update(enabled=False)
        reconcile(NOW + MINUTE)
        assert set(Alert.objects.values_list("resolved_because", "resolved_silently")) == {
            ("ann: holiday", True),
            ("The job was disabled, or is gone.", True),
        }
        assert {state for _, _, state in outbox()} == {"withdrawn"}

    def test_many_missed_runs_of_one_job_are_one_alert(self) -> None:
        nightly = job()
        for number in range(20):
            run(nightly, number, state=RunState.MISSED)
        assert reconcile(NOW) == 1

    def test_an_unknown_run_blames_nobody(self) -> None:
        run(job(), state=RunState.UNKNOWN)
        assert reconcile(NOW) == 0


class TestMonitors:
    def monitor(self, **fields: Any) -> Monitor:
        return Monitor.objects.create(name=f"job-{uuid4().hex[:6]}", period=DAY, stored="down", **fields)

    def test_down_fires_with_what_is_wrong_and_up_resolves(self) -> None:
        down = self.monitor(trouble="missing_start", trouble_since=NOW, channels=["gone"])
        reconcile(NOW)
        alert = Alert.objects.get()
        assert alert.title == f"{down.name} was expected and did not ping"
        Monitor.objects.update(stored="up", last_ping=NOW + HOUR)
        reconcile(NOW + HOUR)
        assert over("monitor_down") == ("It pinged at 2026-03-02 13:00:00 UTC.", False)

    @pytest.mark.parametrize("stored", ["paused", "new"])
    def test_paused_and_resumed_are_silent(self, stored: str) -> None:
        self.monitor()
        reconcile(NOW)
        Monitor.objects.update(stored=stored)
        reconcile(NOW)
        assert over("monitor_down")[1] is True

    def test_deleted_is_silent(self) -> None:
        self.monitor()
        reconcile(NOW)
        Monitor.objects.all().delete()
        reconcile(NOW)
        assert over("monitor_down") == ("The monitor is gone.", True)

    def test_many_at_once_are_one_incident_that_ends_with_them(self) -> None:
        for _ in range(8):
            self.monitor(trouble="failed")
        reconcile(NOW)
        assert Alert.objects.get(kind="incident").members.count() == 8
        assert end_incidents(NOW) == 0
        Monitor.objects.update(stored="up")
        reconcile(NOW + HOUR)
        assert end_incidents(NOW + HOUR) == 1

    def test_a_few_of_many_are_no_incident(self) -> None:
        for _ in range(20):
            Monitor.objects.create(name=f"fine-{uuid4().hex[:6]}", period=DAY, stored="up")
        for _ in range(6):
            self.monitor()
        reconcile(NOW)
        assert not Alert.objects.filter(kind="incident").exists()


class TestSync:
    def skip(self, organization: str = "o-1", **fields: Any) -> SkippedOrganization:
        values: dict[str, Any] = {"reason": SkipReason.LOOPED, "name": "Acme", "skipped_by": "worker"}
        return SkippedOrganization.objects.create(organization_id=organization, **(values | fields))

    def make_job(self, **fields: Any) -> Job:
        values: dict[str, Any] = {"trace_id": uuid4(), "created_by": "ann"}
        return Job.objects.create(**(values | fields))

    def test_a_looping_organization(self) -> None:
        looped = self.make_job(state=JobState.LOOPING, organization_id="o-1")
        entry = self.skip(job=looped, note="3 attempts")
        self.skip("o-2", reason=SkipReason.BY_HAND)
        assert reconcile(NOW) == 1
        alert = Alert.objects.get()
        assert (alert.title, alert.link) == ("The job of Acme loops", f"/sync/jobs/{looped.pk}/")
        later = self.make_job(state=JobState.DONE, organization_id="o-1")
        SkippedOrganization.objects.filter(pk=entry.pk).update(resolved_at=NOW, resolved_by_job=later)
        reconcile(NOW)
        assert over("job_looping") == (f"Job {later.pk} has synced it.", False)

    def test_taken_off_the_list_by_hand_is_silent(self) -> None:
        self.skip()
        reconcile(NOW)
        SkippedOrganization.objects.update(resolved_at=NOW)
        reconcile(NOW)
        assert over("job_looping") == ("It is off the skip list.", True)

    def test_a_looping_list_of_tasks(self) -> None:
        looped = self.make_job(state=JobState.LOOPING, kind=JobKind.TASKS, ended_at=NOW)
        reconcile(NOW)
        assert opened() == {f"job:{looped.pk}": "job_looping"}
        Job.objects.update(state=JobState.QUEUED)
        reconcile(NOW)
        assert opened() == {}

    def batch(self, state: BatchState = BatchState.DONE, **fields: Any) -> Batch:
        values: dict[str, Any] = {"mode": Mode.SYNC, "size": 2, "trace_id": uuid4(), "created_by": "ann"}
        return Batch.objects.create(state=state, **(values | {"ended_at": NOW} | fields))

    def test_a_batch_with_failed_jobs_and_their_retry(self) -> None:
        bad = self.batch(name="Repair")
        for number in range(2):
            self.make_job(batch=bad, state=JobState.FAILED, organization_id=f"o-{number}")
        self.make_job(batch=self.batch(), state=JobState.DONE, organization_id="o-3")
        reconcile(NOW)
        assert Alert.objects.get().title == "Repair ended with 2 jobs that failed"
        Job.objects.filter(batch=bad).update(state=JobState.DONE)
        reconcile(NOW)
        assert over("batch_failed") == ("None of its jobs is failed any more.", False)

    def test_a_batch_that_goes_on_or_grew_old_is_silent(self) -> None:
        bad = self.batch(BatchState.PAUSED, ended_at=None, pause_reason="3 jobs failed")
        old = self.batch()
        for batch in (bad, old):
            self.make_job(batch=batch, state=JobState.FAILED, organization_id=f"o-{batch.pk}")
        reconcile(NOW)
        assert len(opened()) == 2
        Batch.objects.filter(pk=bad.pk).update(state=BatchState.RUNNING)
        reconcile(NOW + timedelta(days=8))
        assert opened() == {}
        assert set(Alert.objects.values_list("resolved_silently", flat=True)) == {True}


def test_a_round_without_news_is_two_statements_however_much_is_wrong() -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            reconcile(NOW)
        return len(captured)

    before = queries()
    nightly = [job(f"job-{number}") for number in range(4)]
    for one in nightly:
        run(one, state=RunState.FAILED)
    reconcile(NOW)
    assert queries() == before == 2


def test_more_in_trouble_than_a_round_takes_all_get_their_alert(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what did not fit into a round is not taken for something that is over."""
    monkeypatch.setattr(reconciling, "PER_ROUND", 3)
    for number in range(8):
        run(job(f"job-{number}"), state=RunState.FAILED)
    assert [reconcile(NOW + number * SECOND) for number in range(4)] == [3, 3, 2, 0]
    assert list(opened().values()).count("run_failed") == 8
    newest = ScheduledJob.objects.get(name="job-7")
    run(newest, 60, state=RunState.DONE)
    assert reconcile(NOW + MINUTE) == 1
    assert list(opened().values()).count("run_failed") == 7
