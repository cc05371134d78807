"""Runs that do not begin or do not end in time, and what this console's own downtime does to their deadlines."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

import pytest
import redis
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from monitoring.pipeline import beats
from monitoring.schedules.lateness import Awaited, Lateness, judge
from monitoring.schedules.models import Looked, Run, RunState, ScheduledJob
from monitoring.schedules.operations import running
from monitoring.schedules.operations.asking import run_now
from monitoring.schedules.operations.finding import Found, sentence_of
from monitoring.schedules.operations.firing import fire_due
from monitoring.schedules.operations.looking import beat, look
from monitoring.schedules.operations.overdue import notice_overdue
from monitoring.schedules.operations.reconciling import push_lost_runs, recover_silent_runs
from opsconsole import audit
from opsconsole.errors import UnavailableError
from sync.failures import classify
from tests.monitoring.scheduled import MINUTE, NOW, WORKER, make_scheduled_job, states

pytest_plugins = ["tests.fixtures_sync"]

HOUR = timedelta(hours=1)


class TestJudging:
    """Pure."""

    def awaited(self, **fields: Any) -> Awaited:
        values: dict[str, Any] = {"critical": False, "asked_for": False, "recovery_window": 2 * HOUR}
        return Awaited(NOW, NOW + HOUR, **(values | fields))

    def test_what_is_not_critical_has_missed_its_time(self) -> None:
        assert judge(self.awaited()) == Lateness(missed=True)

    def test_what_is_critical_waits_until_its_recovery_window_is_over(self) -> None:
        assert judge(self.awaited(critical=True)) == Lateness(missed=False, until=NOW + 2 * HOUR)
        assert judge(self.awaited(critical=True, said_late=True)) == Lateness(missed=True)
        assert judge(self.awaited(critical=True, recovery_window=MINUTE)) == Lateness(missed=True)

    def test_what_somebody_asked_for_waits_as_long_as_it_takes(self) -> None:
        assert judge(self.awaited(asked_for=True)) == Lateness(missed=False)


def test_what_is_found_is_said_in_one_sentence() -> None:
    found = [
        Found("nightly-sync", NOW - 45 * MINUTE, "runs now"),
        Found("export", NOW - 2 * HOUR, "missed", count=2),
    ]
    assert sentence_of(found, NOW) == (
        "Found 3 missed runs: nightly-sync, due 45 min ago (runs now); export, due 2 h ago, 2 times (missed)."
    )
    assert sentence_of(found[:1] * 25, NOW).endswith("; and 5 more.")


def the_run() -> Run:
    return Run.objects.select_related("scheduled_job").get()


@pytest.mark.usefixtures("committed", "queue")
class TestStarts:
    def test_late_by_its_grace_it_is_missed_with_the_reason(self, caplog: pytest.LogCaptureFixture) -> None:
        job = make_scheduled_job("sweep", grace=10 * MINUTE)
        fire_due(NOW)
        ends = the_run().start_by
        assert ends == the_run().due_at + 10 * MINUTE
        assert notice_overdue(ends - timedelta(seconds=1)) == 0
        with caplog.at_level(logging.WARNING):
            assert notice_overdue(ends) == 1
        run = the_run()
        assert (run.state, run.trouble, run.trouble_since) == (RunState.MISSED, "missing_start", ends)
        assert run.cause == "Not begun by 2026-11-20 12:10:00 UTC. No worker of queue default was running."
        assert "Found 1 missed run: sweep, due 10 min ago (missed)." in caplog.text
        assert Run.objects.claim(run.pk, WORKER) is None
        assert notice_overdue(ends + HOUR) == 0
        assert states(job) == ["missed"]

    def test_a_critical_one_runs_when_workers_are_back(self) -> None:
        make_scheduled_job("sweep", grace=10 * MINUTE, critical=True)
        fire_due(NOW)
        notice_overdue(NOW + HOUR)
        assert (the_run().state, the_run().trouble) == (RunState.QUEUED, "missing_start")
        run = Run.objects.claim(the_run().pk, WORKER)
        assert run is not None
        assert (run.trouble, run.start_by) == ("", None)

    def test_or_not_after_its_recovery_window(self) -> None:
        make_scheduled_job("sweep", grace=10 * MINUTE, critical=True)
        fire_due(NOW)
        assert [notice_overdue(NOW + hours * HOUR) for hours in (1, 1, 2)] == [1, 0, 1]
        assert the_run().state == RunState.MISSED

    def test_what_a_person_asked_for_is_said_to_be_late_and_stays(self) -> None:
        job = make_scheduled_job("sweep")
        run_now(job, audit.CLOCK)
        assert notice_overdue(timezone.now() + 2 * HOUR) == 1
        assert (the_run().state, the_run().trouble) == (RunState.QUEUED, "missing_start")
        assert notice_overdue(timezone.now() + 20 * HOUR) == 0

    def test_the_reason_is_what_was_in_the_way(self, queue: redis.Redis) -> None:
        make_scheduled_job("sync")
        make_scheduled_job("export", after=["sync"])
        make_scheduled_job("report")
        make_scheduled_job("prune", operation="prune")
        fire_due(NOW)
        beats.beat("w", ["default"], 0)
        queue.flushall()
        Run.objects.filter(scheduled_job__name="report").update(enqueued_at=timezone.now() - MINUTE)
        assert push_lost_runs() == 1
        notice_overdue(NOW + 2 * HOUR)
        said = {run.scheduled_job.name: run.cause for run in Run.objects.select_related("scheduled_job")}
        assert said["sync"].endswith("Every worker was busy.")
        assert said["export"].endswith("Waits until sync succeeded.")
        assert said["prune"].endswith("No worker of queue low was running.")
        assert said["report"].endswith("The queue was emptied; it was queued again.")

    def test_statements_do_not_grow_with_the_runs(self) -> None:
        counts = []
        for number in (2, 20):
            for at in range(number):
                make_scheduled_job(f"job-{number}-{at}")
            fire_due(NOW)
            with CaptureQueriesContext(connection) as seen:
                assert notice_overdue(NOW + 2 * HOUR) == number
            counts.append(len(seen))
        assert counts[0] == counts[1]


@pytest.mark.usefixtures("committed", "queue")
class TestEnds:
    def begun(self, **fields: Any) -> Run:
        make_scheduled_job("sweep", time_limit=10 * MINUTE, **fields)
        fire_due(NOW)
        run = Run.objects.claim(the_run().pk, WORKER)
        assert run is not None
        return run

    def test_a_run_past_its_time_limit_is_missing_its_end(self) -> None:
        run = self.begun()
        assert run.end_by is not None
        assert timedelta(0) < run.end_by - timezone.now() - 10 * MINUTE < timedelta(seconds=11)
        assert notice_overdue(run.end_by - timedelta(seconds=1)) == 0
        assert notice_overdue(run.end_by) == 1
        assert (the_run().state, the_run().trouble) == (RunState.RUNNING, "missing_end")
        assert running.finish(run, "Done at last.") == "done"
        assert the_run().trouble == ""

    def test_a_failure_and_a_run_that_took_too_long_are_told_apart(self) -> None:
        running.fail(self.begun(retry_delays=[]), classify(UnavailableError("Away.")))
        assert (the_run().state, the_run().trouble) == (RunState.FAILED, "failed")

    def test_one_that_is_tried_again_is_in_no_trouble(self) -> None:
        running.fail(self.begun(), classify(UnavailableError("Away.")))
        assert (the_run().state, the_run().trouble, the_run().end_by) == (RunState.RETRYING, "", None)


@pytest.mark.usefixtures("committed", "queue")
class TestOwnDowntime:
    def test_a_short_gap_is_none(self) -> None:
        assert beat(NOW) is None
        assert beat(NOW + timedelta(seconds=60)) is None
        assert Looked.objects.get().at == NOW + timedelta(seconds=60)

    def test_deadlines_inside_move_by_the_gap_once(self) -> None:
        make_scheduled_job("sweep", grace=10 * MINUTE)
        fire_due(NOW)
        before = the_run().start_by
        assert before is not None
        look(NOW)
        back = NOW + HOUR
        assert beat(back) == HOUR
        assert beat(back) is None
        assert the_run().start_by == before + HOUR
        look(back)
        assert the_run().state == RunState.QUEUED

    def test_a_deadline_before_it_is_noticed(self) -> None:
        make_scheduled_job("sweep", grace=MINUTE)
        fire_due(NOW)
        Looked.objects.create(name="detector", at=NOW + 5 * MINUTE)
        look(NOW + HOUR)
        assert the_run().state == RunState.MISSED

    @pytest.mark.parametrize(("looked", "state"), [(HOUR, RunState.UNKNOWN), (timedelta(0), RunState.FAILED)])
    def test_a_run_that_fell_silent_inside_is_unknown_and_never_failed(
        self, looked: timedelta, state: RunState
    ) -> None:
        make_scheduled_job("sweep", retry_delays=[])
        fire_due(NOW)
        Run.objects.claim(the_run().pk, WORKER)
        now: datetime = timezone.now()
        Run.objects.update(heartbeat_at=now - HOUR + MINUTE)
        Looked.objects.create(name="detector", at=now - looked)
        beat(now)
        assert recover_silent_runs() == 1
        assert the_run().state == state

    def test_with_attempts_left_it_is_started_again(self) -> None:
        make_scheduled_job("sweep")
        fire_due(NOW)
        Run.objects.claim(the_run().pk, WORKER)
        Run.objects.update(heartbeat_at=timezone.now() - HOUR)
        Looked.objects.create(name="detector", at=timezone.now() - 2 * HOUR)
        assert recover_silent_runs() == 1
        assert the_run().state == RunState.QUEUED


@pytest.mark.usefixtures("committed", "queue")
def test_a_deployment_costs_a_run_no_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its worker was told to stop, and what it did could not go on: it is queued again at once."""
    make_scheduled_job("sweep", operation="away")
    fire_due(NOW)
    ScheduledJob.objects.update(retry_delays=[])
    run = Run.objects.claim(the_run().pk, WORKER)
    assert run is not None
    monkeypatch.setattr("monitoring.schedules.operations.running.stop_requested", lambda: True)
    assert running.run_claimed(run) == "queued"
    assert (the_run().state, the_run().attempt) == (RunState.QUEUED, 0)
