"""What becomes of a job whose attempt ended badly, and of one that the queue lost."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.db import OperationalError, connection, transaction
from django.db.models.functions import Now
from django.dispatch import Signal
from django.utils import timezone
from pytest_django import Settings

from opsconsole.demo.ports import free_port
from opsconsole.errors import OutsideDataError, UnavailableError, UsageError
from opsconsole.models import AuditEntry
from opsconsole.worker import work_horse_killed
from sync import ending, queueing, recovery
from sync.engine.walk import OutOfOrderError
from sync.failures import RETRY_DELAYS, classify
from sync.ledger import ChunkResult, Ledger
from sync.models import (
    Attempt,
    AttemptOutcome,
    EventLevel,
    Job,
    JobKind,
    JobState,
    SkippedOrganization,
    SkipReason,
)
from sync.reconcile import (
    SILENCE_SECONDS,
    end_stuck_jobs,
    push_lost_jobs,
    queue_due_retries,
    reconcile,
    recover_silent_jobs,
)
from sync.signals import job_looping, jobs_ended
from tests.sync.jobs import OTHER_WORKER, WORKER, claim, fall_silent, make_job, messages

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def heard() -> Iterator[list[tuple[Signal, dict[str, Any]]]]:
    """The signals that sync sent, with their arguments."""
    received: list[tuple[Signal, dict[str, Any]]] = []

    def listen(signal: Signal, sender: object, **arguments: Any) -> None:
        received.append((signal, arguments))

    for announced in (jobs_ended, job_looping):
        announced.connect(listen, weak=False, dispatch_uid="tests")
    yield received
    for announced in (jobs_ended, job_looping):
        announced.disconnect(dispatch_uid="tests")


def silent(**fields: Any) -> Job:
    job, _ = claim(make_job(**fields))
    fall_silent(job)
    return job


def in_thread(act: Callable[[], int]) -> int:
    try:
        return act()
    finally:
        connection.close()


def in_queue(name: str = "default") -> list[int | None]:
    return [queueing.job_id_of(rq_id) for rq_id in queueing._queue(name).get_job_ids()]


class TestSilence:
    def test_the_job_is_queued_again_from_its_checkpoint(self, queue: redis.Redis) -> None:
        job = silent(checkpoint="40", scanned=400)
        assert recover_silent_jobs() == 1
        job.refresh_from_db()
        assert (job.state, job.checkpoint, job.scanned, job.stalled_attempts) == (JobState.QUEUED, "40", 400, 1)
        attempt = Attempt.objects.get(job=job)
        assert (attempt.outcome, attempt.ended_at is None) == (AttemptOutcome.VANISHED, False)
        assert in_queue() == [job.pk]
        assert "fell silent. Queued again from its checkpoint." in messages(job)[-1]

    def test_twice_is_once(self, queue: redis.Redis) -> None:
        silent()
        assert (recover_silent_jobs(), recover_silent_jobs()) == (1, 0)

    def test_a_beating_heart_is_left_alone(self, queue: redis.Redis) -> None:
        job, _ = claim(make_job())
        fall_silent(job, SILENCE_SECONDS - 2)
        assert recover_silent_jobs() == 0
        fall_silent(job, SILENCE_SECONDS + 1)
        assert recover_silent_jobs() == 1

    @pytest.mark.usefixtures("use_estate")
    def test_a_job_being_cancelled_is_cancelled(self, queue: redis.Redis, heard: list[Any]) -> None:
        job = silent()
        Job.objects.filter(pk=job.pk).ask_to_cancel()
        assert (recover_silent_jobs(), end_stuck_jobs()) == (0, 1)
        job.refresh_from_db()
        assert (job.state, in_queue()) == (JobState.CANCELLED, [])
        assert [announced for announced, _ in heard] == [jobs_ended]

    def test_a_worker_that_stands_still_in_a_transaction_holds_up_nobody_else(self, queue: redis.Redis) -> None:
        """Its row is locked until the server ends its session; the clock does not wait for that."""
        stopped, other = silent(), silent()
        with transaction.atomic():
            Job.objects.select_for_update().get(pk=stopped.pk)
            with ThreadPoolExecutor(1) as pool:
                assert pool.submit(in_thread, recover_silent_jobs).result(timeout=10) == 1
        other.refresh_from_db()
        assert other.state == JobState.QUEUED
        assert recover_silent_jobs() == 1

    def test_one_whose_write_came_through_meanwhile_is_left_alone(self, queue: redis.Redis) -> None:
        """It seemed silent because its own long commit kept its heartbeat waiting."""
        job = silent()
        seen = Job.objects.get(pk=job.pk)
        Job.objects.filter(pk=job.pk).update(heartbeat_at=Now())
        assert not recovery.recover_silent(seen, recovery.BadEnd(AttemptOutcome.VANISHED, "Gone."), seconds=15)
        assert Job.objects.get(pk=job.pk).state == JobState.RUNNING

    def test_one_that_ended_by_itself_meanwhile_is_left_alone(self, queue: redis.Redis) -> None:
        job = silent()
        Job.objects.end(job.pk, job.fence, JobState.DONE)
        recovery.recover(job, recovery.BadEnd(AttemptOutcome.VANISHED, "Gone."))
        job.refresh_from_db()
        assert job.state == JobState.DONE


class TestLooping:
    def test_three_attempts_without_a_chunk_stop_it(self, queue: redis.Redis, heard: list[Any]) -> None:
        job = make_job(organization_name="Acme")
        for _ in range(3):
            claim(job)
            fall_silent(job)
            reconcile()
        job.refresh_from_db()
        assert (job.state, job.stalled_attempts, Attempt.objects.filter(job=job).count()) == (JobState.LOOPING, 3, 3)
        assert "3 attempts in a row ended without the checkpoint moving: looping." in job.error
        skipped = SkippedOrganization.objects.get(organization_id=job.organization_id)
        assert (skipped.name, skipped.reason, skipped.job_id) == ("Acme", SkipReason.LOOPED, job.pk)
        event = job.events.order_by("pk").last()
        assert event is not None
        assert (event.level, event.message) == (EventLevel.ERROR, job.error)
        assert AuditEntry.objects.filter(action="organization.skipped", subject=f"job:{job.pk}").count() == 1
        assert heard == [(job_looping, {"job_id": job.pk}), (jobs_ended, {"job_ids": [job.pk]})]
        assert recover_silent_jobs() == 0

    def test_a_committed_chunk_starts_the_count_anew(self, queue: redis.Redis) -> None:
        job = make_job()
        for round_number in range(4):
            held, _ = claim(job)
            if round_number == 1:
                Ledger(held.pk, held.fence).commit_chunk(ChunkResult("5", 1, 0, (), ()))
            fall_silent(held)
            reconcile()
        job.refresh_from_db()
        assert (job.state, job.stalled_attempts) == (JobState.LOOPING, 3)
        assert Attempt.objects.filter(job=job).count() == 4

    def test_an_organization_started_too_often_in_an_hour_stops_whatever_the_job(
        self, queue: redis.Redis, settings: Settings, heard: list[Any]
    ) -> None:
        settings.LOOPING_STARTS_PER_HOUR = 3
        organization = "11111111-1111-4111-8111-111111111111"
        for state in (JobState.FAILED, JobState.CANCELLED, JobState.DONE):
            old, attempt = claim(make_job(organization_id=organization))
            outcome = AttemptOutcome.DONE if state is JobState.DONE else AttemptOutcome.FAILED
            Attempt.objects.filter(pk=attempt.pk).update(outcome=outcome)
            Job.objects.end(old.pk, old.fence, state)
        job = make_job(organization_id=organization)
        for moved in ("5", "6"):
            held, _ = claim(job)
            assert Job.objects.get(pk=job.pk).state == JobState.RUNNING
            Ledger(held.pk, held.fence).commit_chunk(ChunkResult(moved, 1, 0, (), ()))
            ending.hibernate(held, "Out of memory.", None)
        job.refresh_from_db()
        assert (job.state, job.checkpoint) == (JobState.LOOPING, "6")
        assert "started 4 times within an hour without its job being done" in job.error
        assert SkippedOrganization.objects.get(organization_id=organization).job_id == job.pk
        assert (job_looping, {"job_id": job.pk}) in heard
        assert in_queue() == [job.pk]  # of the first hibernation; the second queued nothing

    def test_starts_of_the_hour_before_do_not_count(self, queue: redis.Redis, settings: Settings) -> None:
        settings.LOOPING_STARTS_PER_HOUR = 3
        job = make_job()
        for _ in range(5):
            held, _ = claim(job)
            ending.hibernate(held, "Out of memory.", None)
            Attempt.objects.filter(job=job).update(started_at=timezone.now() - timedelta(minutes=61))
        job.refresh_from_db()
        assert job.state == JobState.QUEUED

    def test_a_failure_beyond_the_limit_is_looping_and_no_dead_letter(
        self, queue: redis.Redis, settings: Settings
    ) -> None:
        settings.LOOPING_STARTS_PER_HOUR = 3
        job = make_job()
        for _ in range(4):
            held, _ = claim(job)
            ending.fail(held, classify(UnavailableError("Away.")), None)
            Job.objects.filter(pk=job.pk).update(not_before=None)
        job.refresh_from_db()
        assert (job.state, job.failures) == (JobState.LOOPING, 3)

    def test_a_list_of_tasks_loops_without_a_skip(self, queue: redis.Redis) -> None:
        job = silent(kind=JobKind.TASKS, organization_id="", task_ids=["1"], stalled_attempts=2)
        reconcile()
        job.refresh_from_db()
        assert job.state == JobState.LOOPING
        assert not SkippedOrganization.objects.exists()
        assert not AuditEntry.objects.filter(action="organization.skipped").exists()


class TestKilledHorse:
    """The worker's parent saw its child die: nobody need wait for the heartbeat to age."""

    @staticmethod
    def tell(job: Job, worker: str = WORKER.name, status: int | None = signal.SIGKILL) -> None:
        arguments = {"worker": worker, "function": queueing.JOB_FUNCTION, "args": (job.pk,), "wait_status": status}
        work_horse_killed.send(sender=None, **arguments, peak_memory=1 << 20)

    def test_is_queued_again_with_the_signal_named(self, queue: redis.Redis) -> None:
        job, attempt = claim(make_job())
        self.tell(job)
        job.refresh_from_db()
        attempt.refresh_from_db()
        assert (job.state, in_queue()) == (JobState.QUEUED, [job.pk])
        assert (attempt.outcome, attempt.peak_memory) == (AttemptOutcome.KILLED, 1 << 20)
        assert "killed by SIGKILL (by the kernel, when memory runs out)" in attempt.error

    def test_what_the_child_held_beside_it_is_queued_again_too(self, queue: redis.Redis) -> None:
        named, beside = claim(make_job())[0], claim(make_job())[0]
        Job.objects.end(named.pk, named.fence, JobState.DONE)  # the sweep behind a job that is done
        self.tell(named)
        assert (Job.objects.get(pk=named.pk).state, in_queue()) == (JobState.DONE, [beside.pk])

    def test_an_exit_status_is_named(self, queue: redis.Redis) -> None:
        job, attempt = claim(make_job())
        self.tell(job, status=3 << 8)
        attempt.refresh_from_db()
        assert "ended with exit status 3" in attempt.error

    def test_another_workers_attempt_is_left_alone(self, queue: redis.Redis) -> None:
        job, _ = claim(make_job(), OTHER_WORKER)
        self.tell(job)
        job.refresh_from_db()
        assert job.state == JobState.RUNNING

    def test_functions_of_others_are_left_alone(self, queue: redis.Redis) -> None:
        job, _ = claim(make_job())
        work_horse_killed.send(
            sender=None, worker=WORKER.name, function="os.getpid", args=(job.pk,), wait_status=9, peak_memory=None
        )
        job.refresh_from_db()
        assert job.state == JobState.RUNNING


class TestFailure:
    def fail(self, job: Job, error: Exception) -> Job:
        held, _ = claim(job)
        ending.fail(held, classify(error), peak_memory=5)
        job.refresh_from_db()
        return job

    def test_a_passing_one_is_retried_after_5_10_and_20_minutes_and_then_failed(
        self, queue: redis.Redis, heard: list[Any]
    ) -> None:
        job = make_job(checkpoint="7")
        for minutes in (5, 10, 20):
            self.fail(job, UnavailableError("The source cannot be reached."))
            assert (job.state, job.checkpoint) == (JobState.RETRYING, "7")
            assert job.not_before is not None
            left = job.not_before - timezone.now()
            assert timedelta(minutes=minutes) - timedelta(seconds=20) < left <= timedelta(minutes=minutes)
            assert messages(job)[-1] == f"The source cannot be reached. Trying again in {minutes} minutes."
            Job.objects.filter(pk=job.pk).update(not_before=timezone.now())
        assert heard == []
        self.fail(job, UnavailableError("The source cannot be reached."))
        assert (job.state, job.failures, job.error) == (JobState.FAILED, 4, "The source cannot be reached.")
        assert heard == [(jobs_ended, {"job_ids": [job.pk]})]
        assert set(Attempt.objects.values_list("outcome", "peak_memory")) == {(AttemptOutcome.FAILED, 5)}
        assert len(RETRY_DELAYS) == 3

    @pytest.mark.parametrize(
        "error", [OutsideDataError("No column x."), OutOfOrderError("the index gave key 1 after 2"), UsageError("Bad.")]
    )
    def test_a_lasting_one_fails_at_once(self, queue: redis.Redis, error: Exception) -> None:
        job = self.fail(make_job(), error)
        assert (job.state, job.error, job.error_type) == (JobState.FAILED, str(error), type(error).__name__)

    @pytest.mark.parametrize("error", [OperationalError("gone"), redis.ConnectionError("away"), UnavailableError("x")])
    def test_what_passes(self, error: Exception) -> None:
        failure = classify(error)
        assert (failure.transient, failure.known) == (True, True)

    def test_a_defect_is_retried_and_named(self) -> None:
        failure = classify(ZeroDivisionError("division by zero"))
        assert (failure.transient, failure.known) == (True, False)
        assert failure.sentence == "Unexpected ZeroDivisionError: division by zero"

    def test_a_job_being_cancelled_is_cancelled(self, queue: redis.Redis, heard: list[Any]) -> None:
        held, _ = claim(make_job())
        Job.objects.filter(pk=held.pk).ask_to_cancel()
        ending.fail(held, classify(UnavailableError("The broker is away.")), peak_memory=None)
        held.refresh_from_db()
        assert held.state == JobState.CANCELLED
        assert "The broker is away." in messages(held)[-1]
        assert heard == [(jobs_ended, {"job_ids": [held.pk]})]

    def test_a_job_being_paused_is_held_back(self, queue: redis.Redis, heard: list[Any]) -> None:
        held, _ = claim(make_job())
        Job.objects.filter(pk=held.pk).ask_to_pause()
        ending.fail(held, classify(UnavailableError("The broker is away.")), peak_memory=None)
        held.refresh_from_db()
        assert (held.state, held.failures, held.error) == (JobState.PLANNED, 1, "The broker is away.")
        assert heard == []

    def test_an_attempt_that_lost_the_job_changes_nothing(self, queue: redis.Redis) -> None:
        old, _ = claim(make_job())
        Job.objects.give_back(old.pk, old.fence)
        claim(old, OTHER_WORKER)
        ending.fail(old, classify(UnavailableError("x")), peak_memory=None)
        assert not ending.finish(old, "Done.", EventLevel.INFO, None)
        ending.finish_cancelled(old, "x", None)
        old.refresh_from_db()
        assert (old.state, old.failures) == (JobState.RUNNING, 0)
        assert Attempt.objects.get(job=old, number=2).outcome == AttemptOutcome.RUNNING


class TestDueRetries:
    def test_are_queued_when_their_time_has_come(self, queue: redis.Redis) -> None:
        due = make_job(state=JobState.RETRYING, not_before=timezone.now() - timedelta(seconds=1))
        later = make_job(state=JobState.RETRYING, not_before=timezone.now() + timedelta(minutes=1))
        assert queue_due_retries() == 1
        due.refresh_from_db()
        later.refresh_from_db()
        assert (due.state, due.not_before, later.state) == (JobState.QUEUED, None, JobState.RETRYING)
        assert in_queue() == [due.pk]


class TestLostJobs:
    def test_a_flushed_redis_is_filled_again(self, queue: redis.Redis) -> None:
        organization, tasks = make_job(), make_job(kind=JobKind.TASKS, organization_id="", task_ids=["1"])
        queueing.push_now([(organization.pk, JobKind.ORGANIZATION), (tasks.pk, JobKind.TASKS)])
        queue.flushall()
        assert push_lost_jobs() == 2
        assert (in_queue("default"), in_queue("high")) == ([organization.pk], [tasks.pk])

    def test_what_is_there_is_not_pushed_again(self, queue: redis.Redis) -> None:
        job = make_job()
        assert (push_lost_jobs(), push_lost_jobs()) == (1, 0)
        assert in_queue() == [job.pk]

    @pytest.mark.parametrize("died", ["between taking and starting", "between starting and claiming"])
    def test_what_a_worker_took_before_it_died_is_pushed_again_at_once(self, queue: redis.Redis, died: str) -> None:
        """RQ goes on to say that it is taken, or under way, for more than a minute."""
        job = make_job()
        push_lost_jobs()
        rq_queue = queueing._queue("default")
        queue.lrem(rq_queue.key, 0, queueing.rq_id(job.pk))
        if died == "between taking and starting":
            queue.rpush(rq_queue.intermediate_queue_key, queueing.rq_id(job.pk))
        else:
            queue.zadd(rq_queue.started_job_registry.key, {f"{queueing.rq_id(job.pk)}:1": time.time() + 90})
        assert (push_lost_jobs(), push_lost_jobs()) == (1, 0)
        assert in_queue() == [job.pk]

    def test_a_job_queued_just_now_is_given_time(self, queue: redis.Redis) -> None:
        make_job(enqueued_at=timezone.now())
        assert push_lost_jobs() == 0

    @pytest.mark.parametrize("state", [state for state in JobState if state is not JobState.QUEUED])
    def test_only_queued_jobs_are_pushed(self, queue: redis.Redis, state: JobState) -> None:
        make_job(state=state, not_before=timezone.now() + timedelta(hours=1))
        assert push_lost_jobs() == 0

    def test_messages_are_json_and_name_the_job(self, queue: redis.Redis) -> None:
        job = make_job()
        push_lost_jobs()
        (message,) = queueing._queue("default").get_jobs()
        assert (message.func_name, list(message.args), message.timeout) == (queueing.JOB_FUNCTION, [job.pk], -1)
        assert queue.hget(f"rq:job:{message.id}", "data") is not None

    def test_redis_away_is_survived_and_the_rest_still_done(self, queue: redis.Redis, settings: Settings) -> None:
        nowhere = f"redis://127.0.0.1:{free_port()}/0"
        settings.RQ_QUEUES = {name: entry | {"URL": nowhere} for name, entry in settings.RQ_QUEUES.items()}
        lost, gone = make_job(), silent()
        due = make_job(state=JobState.RETRYING, not_before=timezone.now() - timedelta(seconds=1))
        reconcile()
        states = dict(Job.objects.values_list("pk", "state"))
        assert states == dict.fromkeys((lost.pk, gone.pk, due.pk), JobState.QUEUED)
        assert push_lost_jobs() == 0


@pytest.mark.parametrize(("rq_id", "number"), [("sync-job-12", 12), ("12", None), ("sync-job-x", None), ("", None)])
def test_only_our_own_ids_are_read(rq_id: str, number: int | None) -> None:
    assert queueing.job_id_of(rq_id) == number


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (signal.SIGTERM, "The worker's process was killed by SIGTERM."),
        (os.EX_OK, "The worker's process ended with exit status 0 before the job was done."),
        (None, "The worker's process ended with exit status unknown before the job was done."),
    ],
)
def test_how_a_process_ended_is_said(status: int | None, sentence: str) -> None:
    assert recovery.describe_wait_status(status) == sentence
