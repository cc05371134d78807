"""Due times become rows, once each, and what may begin is queued."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import django_rq
import pytest
import redis
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from monitoring.schedules import carrying
from monitoring.schedules.models import Action, Overlap, Run, RunState, ScheduledJob, Trigger
from monitoring.schedules.operations import running
from monitoring.schedules.operations.admission import release_waiting
from monitoring.schedules.operations.firing import fire_due
from monitoring.schedules.operations.reconciling import (
    push_lost_runs,
    queue_due_retries,
    recover_silent_runs,
)
from opsconsole.errors import OutsideDataError, UnavailableError
from sync.failures import classify
from tests.monitoring.scheduled import MINUTE, NOW, WORKER, make_scheduled_job, states

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.usefixtures("committed", "queue")


def only_run() -> Run:
    return Run.objects.select_related("scheduled_job").get()


def claimed() -> Run:
    run = Run.objects.claim(only_run().pk, WORKER)
    assert run is not None
    return run


class TestFiring:
    def test_a_due_time_is_one_row_and_one_message(self) -> None:
        job = make_scheduled_job("sweep")
        assert fire_due(NOW) == 1
        run = only_run()
        assert (run.state, run.trigger, run.due_at) == (RunState.QUEUED, Trigger.DUE, NOW - timedelta(seconds=30))
        assert carrying.waiting() == {run.pk}
        job.refresh_from_db()
        assert (job.watermark, job.next_due) == (run.due_at, run.due_at + 5 * MINUTE)

    def test_nothing_is_due_twice(self) -> None:
        make_scheduled_job("sweep")
        assert [fire_due(NOW), fire_due(NOW), fire_due(NOW + MINUTE)] == [1, 0, 0]

    def test_a_due_time_that_is_replayed_is_refused_by_the_database(self, queue: redis.Redis) -> None:
        job = make_scheduled_job("sweep", overlap="allow")  # else it would not be queued for overlapping itself
        fire_due(NOW)
        queue.flushall()
        ScheduledJob.objects.filter(pk=job.pk).update(watermark=NOW - 5 * MINUTE, next_due=NOW - MINUTE)
        assert fire_due(NOW) == 0
        assert Run.objects.count() == 1
        assert carrying.waiting() == set()

    def test_two_clocks_give_one_run(self) -> None:
        for number in range(20):
            make_scheduled_job(f"job-{number}")
        barrier = threading.Barrier(2)

        def fire() -> None:
            barrier.wait()
            fire_due(NOW)
            connection.close()

        clocks = [threading.Thread(target=fire) for _ in range(2)]
        for clock in clocks:
            clock.start()
        for clock in clocks:
            clock.join()
        assert Run.objects.count() == 20
        assert len(carrying.waiting()) == 20

    def test_a_disabled_job_is_not_due(self) -> None:
        make_scheduled_job("sweep", enabled=False)
        assert fire_due(NOW) == 0

    def test_after_a_downtime_a_critical_job_runs_once_and_the_rest_is_recorded(self) -> None:
        job = make_scheduled_job("sweep", since=NOW - timedelta(hours=1), critical=True)
        assert fire_due(NOW + 2 * MINUTE, "no clock was running") == 1
        assert states(job) == ["coalesced"] * 11 + ["queued"]
        run = Run.objects.get(state=RunState.QUEUED)
        assert (run.trigger, run.cause) == (
            Trigger.RECOVERY,
            "Due while no clock was running; critical, so it runs now.",
        )

    def test_what_is_not_critical_is_recorded_as_missed(self) -> None:
        job = make_scheduled_job("nightly", since=NOW - timedelta(days=2), cron="0 6 * * *")
        assert fire_due(NOW) == 0
        assert states(job) == ["missed", "missed"]

    def test_statements_do_not_grow_with_the_jobs(self) -> None:
        counts = []
        for number in (3, 30):
            for at in range(number):
                make_scheduled_job(f"job-{number}-{at}", overlap=Overlap.ALLOW)
            with CaptureQueriesContext(connection) as seen:
                assert fire_due(NOW) == number
            counts.append(len(seen))
        assert counts[0] == counts[1]


class TestAdmission:
    def test_an_overlapping_run_is_skipped_with_the_reason(self) -> None:
        job = make_scheduled_job("sweep")
        fire_due(NOW)
        assert fire_due(NOW + 5 * MINUTE) == 0
        assert states(job) == ["queued", "skipped"]
        assert Run.objects.get(state=RunState.SKIPPED).cause == "The run before it was still under way."

    def test_or_waits_for_the_one_before_it(self) -> None:
        job = make_scheduled_job("sweep", overlap=Overlap.QUEUE)
        fire_due(NOW)
        fire_due(NOW + 5 * MINUTE)
        assert states(job) == ["queued", "waiting"]
        first = Run.objects.earliest("due_at")
        Run.objects.claim(first.pk, WORKER)
        Run.objects.end(first.pk, 1, RunState.DONE)
        assert released() == 1
        assert states(job) == ["done", "queued"]

    def test_or_runs_beside_it(self) -> None:
        job = make_scheduled_job("sweep", overlap=Overlap.ALLOW)
        fire_due(NOW)
        fire_due(NOW + 5 * MINUTE)
        assert states(job) == ["queued", "queued"]

    def test_what_is_caught_up_takes_its_turn_although_overlaps_are_skipped(self) -> None:
        job = make_scheduled_job("sweep", since=NOW - 15 * MINUTE, critical=True, catch_up="all")
        fire_due(NOW + 2 * MINUTE)
        assert states(job) == ["queued", "waiting", "waiting"]

    def test_a_chain_waits_for_the_success_of_what_it_names(self) -> None:
        sync = make_scheduled_job("nightly-sync")
        export = make_scheduled_job("export", after=["nightly-sync"])
        fire_due(NOW)
        assert (states(sync), states(export)) == (["queued"], ["waiting"])
        assert Run.objects.get(scheduled_job=export).cause == "Waits until nightly-sync succeeded."
        run = Run.objects.claim(Run.objects.get(scheduled_job=sync).pk, WORKER)
        assert run is not None
        assert released() == 0
        running.finish(run, "Done.")
        assert released() == 1
        assert states(export) == ["queued"]

    def test_a_chain_does_not_follow_a_failure(self) -> None:
        make_scheduled_job("nightly-sync", retry_delays=[])
        export = make_scheduled_job("export", after=["nightly-sync"])
        fire_due(NOW)
        run = Run.objects.claim(Run.objects.get(scheduled_job__name="nightly-sync").pk, WORKER)
        assert run is not None
        running.fail(run, classify(OutsideDataError("No such table.")))
        assert released() == 0
        assert states(export) == ["waiting"]

    def test_yesterdays_success_does_not_stand_for_today(self) -> None:
        sync = make_scheduled_job("nightly-sync", cron="0 2 * * *", since=NOW - timedelta(days=3))
        export = make_scheduled_job("export", cron="0 12 * * *", since=NOW - MINUTE, after=["nightly-sync"])
        Run.objects.create(
            scheduled_job=sync,
            due_at=datetime(2026, 11, 19, 2, tzinfo=UTC),
            state=RunState.DONE,
            trace_id="11111111-1111-4111-8111-111111111111",
        )
        fire_due(NOW)
        assert states(export) == ["waiting"]


def released() -> int:
    with transaction.atomic():
        return release_waiting()


class TestAttempts:
    def test_failures_are_tried_again_after_five_ten_and_twenty_minutes_then_it_has_failed(self) -> None:
        make_scheduled_job("sweep")
        fire_due(NOW)
        for minutes in (5, 10, 20):
            before = timezone.now()
            running.fail(claimed(), classify(UnavailableError("Away.")))
            run = only_run()
            assert run.state == RunState.RETRYING
            assert run.not_before is not None
            assert minutes * MINUTE <= run.not_before - before < (minutes + 1) * MINUTE
            assert queue_due_retries() == 0
            Run.objects.update(not_before=timezone.now())
            assert queue_due_retries() == 1
        assert running.fail(claimed(), classify(UnavailableError("Away."))) == "failed"
        run = only_run()
        assert (run.state, run.attempt, run.error) == (RunState.FAILED, 4, "Away.")

    def test_a_permanent_error_is_not_tried_again(self) -> None:
        make_scheduled_job("sweep")
        fire_due(NOW)
        assert running.fail(claimed(), classify(OutsideDataError("No such table."))) == "failed"

    def test_a_vanished_worker_costs_an_attempt_and_it_is_started_again_at_once(self) -> None:
        make_scheduled_job("sweep", retry_delays=[300])
        fire_due(NOW)
        for expected in (RunState.QUEUED, RunState.FAILED):
            claimed()
            Run.objects.update(heartbeat_at=timezone.now() - MINUTE)
            assert recover_silent_runs() == 1
            assert only_run().state == expected

    def test_a_worker_taken_for_dead_changes_nothing_any_more(self) -> None:
        make_scheduled_job("sweep")
        fire_due(NOW)
        dead = claimed()
        Run.objects.update(heartbeat_at=timezone.now() - MINUTE)
        recover_silent_runs()
        assert running.finish(dead, "Done.") == "fence lost"
        assert only_run().state == RunState.QUEUED

    def test_a_run_is_performed_and_its_log_kept(self) -> None:
        make_scheduled_job("sweep", parameters={"line": "hello"})
        fire_due(NOW)
        assert running.run_claimed(claimed()) == "done"
        run = only_run()
        assert (run.state, run.result, run.ended_at is None) == (RunState.DONE, "Noted.", False)
        assert [event.message for event in run.events.order_by("pk")] == [
            *("Attempt 1 of 4 on worker-one.", "hello", "Noted."),
        ]

    def test_what_redis_forgot_is_pushed_again(self, queue: redis.Redis) -> None:
        make_scheduled_job("sweep")
        fire_due(NOW)
        queue.flushall()
        assert push_lost_runs() == 0  # pushed just now, for all anybody knows
        Run.objects.update(enqueued_at=timezone.now() - MINUTE)
        assert push_lost_runs() == 1
        assert carrying.waiting() == {only_run().pk}
        assert push_lost_runs() == 0

    def test_the_run_has_its_time_limit_in_the_queue(self, queue: redis.Redis) -> None:
        make_scheduled_job("sweep", time_limit=timedelta(seconds=90))
        fire_due(NOW)
        assert queue.hget(f"rq:job:{carrying.rq_id(only_run().pk)}", "timeout") == b"90"

    def test_what_may_wait_stands_in_a_queue_of_its_own(self, queue: redis.Redis) -> None:
        for name in ("prune", "record_snapshot", "check_estate", "noted"):
            make_scheduled_job(name, operation=name)
        make_scheduled_job("export", action=Action.HTTP, operation="", parameters={"url": "http://export.example.com/"})
        fire_due(NOW)
        names = dict(Run.objects.values_list("pk", "scheduled_job__name"))

        def waiting(name: str) -> set[str]:
            return {names[carrying.run_id_of(one) or 0] for one in django_rq.get_queue(name).get_job_ids()}

        expected = {"prune", "record_snapshot"}, {"check_estate", "noted", "export"}
        assert (waiting("low"), waiting("default")) == expected
        queue.flushall()
        Run.objects.update(enqueued_at=timezone.now() - MINUTE)
        assert push_lost_runs() == 5
        assert (waiting("low"), waiting("default")) == expected
        assert carrying.waiting() == names.keys()
        assert push_lost_runs() == 0
