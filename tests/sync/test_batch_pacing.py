"""The pace of a batch: never more at once than allowed, a canary that waits, a stop, a pause that nothing escapes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.errors import UsageError
from sync import ending, recovery
from sync.failures import Failure
from sync.models import AttemptOutcome, Batch, BatchState, EventLevel, Job, JobState, Mode
from sync.models.states import ACTIVE_STATES
from sync.operations import batches
from sync.operations.batches import BatchOptions
from sync.operations.batches.pacing import UNDER_WAY_STATES, Limits, Standing, next_step
from sync.queueing import rq_id
from sync.recovery import BadEnd
from tests.sync.batches import PERSON, acts, at_once, in_state, reload, run, run_all, stage, start, states
from tests.sync.jobs import WORKER, claim, messages

pytest_plugins = ["tests.fixtures_sync"]

SYNC = BatchOptions(mode=Mode.SYNC, size=10)
HELD, QUEUED, DONE = JobState.PLANNED, JobState.QUEUED, JobState.DONE


def started(**options: Any) -> Batch:
    stage(10)
    return start(replace(SYNC, **options))


def under_way(batch: Batch) -> int:
    return batch.jobs.filter(state__in=UNDER_WAY_STATES).count()


@given(
    most=st.none() | st.integers(1, 50),
    stop=st.none() | st.integers(1, 5),
    canary=st.booleans(),
    held=st.booleans(),
    going=st.integers(0, 60),
    problems=st.integers(-3, 10),
    is_open=st.booleans(),
)
def test_a_step_never_goes_over_the_limits(
    most: int | None, stop: int | None, canary: bool, held: bool, going: int, problems: int, is_open: bool
) -> None:
    step = next_step(Limits(most, stop, canary), Standing(held, going, problems, is_open))
    assert sum((step.stop, step.ask, step.room != 0)) <= 1
    if step.room is None:
        assert most is None
    elif step.room:
        assert most is not None
        assert going + step.room <= most
    if step.stop:
        assert stop is not None
        assert problems >= stop
    if canary and not is_open:
        assert step.room == 0
    assert held or step.room == 0


@pytest.mark.django_db
@pytest.mark.usefixtures("queue")
class TestMostAtOnce:
    def test_only_so_many_are_queued_and_the_first_ones_first(self) -> None:
        batch = started(most_at_once=3)
        assert states(batch) == [QUEUED] * 3 + [HELD] * 7
        run(in_state(batch, QUEUED)[1])
        assert states(batch) == [QUEUED, DONE, QUEUED, QUEUED] + [HELD] * 6

    def test_without_a_need_nothing_is_released(self) -> None:
        batch = started(most_at_once=3)
        assert batches.advance(batch.pk) == 0
        assert batches.advance(batch.pk + 1) == 0

    def test_a_job_that_waits_to_retry_counts(self) -> None:
        batch = started(most_at_once=3)
        batch.jobs.filter(state=QUEUED).update(state=JobState.RETRYING)
        batches.keep_batches_moving()
        assert under_way(batch) == 3

    def test_the_clock_goes_on_where_a_signal_was_lost(self) -> None:
        batch = started(most_at_once=3)
        batch.jobs.filter(state=QUEUED).update(state=DONE)
        batches.keep_batches_moving()
        assert under_way(batch) == 3

    def test_it_ends_when_all_have_run(self) -> None:
        batch = started(most_at_once=4)
        run_all(batch)
        assert (reload(batch).state, set(states(batch))) == (BatchState.DONE, {DONE})

    def test_released_jobs_are_pushed_after_the_commit(
        self, queue: redis.Redis, django_capture_on_commit_callbacks: Any
    ) -> None:
        batch = started(most_at_once=3)
        queue.flushall()
        job, _ = claim(in_state(batch, QUEUED)[0])
        Job.objects.end(job.pk, job.fence, DONE)
        with django_capture_on_commit_callbacks(execute=True):
            assert batches.advance(batch.pk) == 1
            assert queue.llen("rq:queue:default") == 0
        assert queue.lrange("rq:queue:default", 0, -1) == [rq_id(in_state(batch, QUEUED)[-1].pk).encode()]


@pytest.mark.usefixtures("committed", "queue")
def test_many_callers_at_once_never_release_more_than_allowed() -> None:
    stage(200)
    batch = start(BatchOptions(mode=Mode.SYNC, size=200, most_at_once=7))
    for _ in range(5):
        for job in in_state(batch, QUEUED)[:4]:
            Job.objects.filter(pk=job.pk).update(state=DONE)
        released = at_once([lambda: batches.advance(batch.pk)] * 8)
        assert sum(count for count in released if isinstance(count, int)) == 4, released
        assert under_way(batch) == 7


@pytest.mark.django_db
@pytest.mark.usefixtures("queue")
class TestCanary:
    def test_the_first_ones_run_and_the_batch_waits(self) -> None:
        batch = started(canary=3)
        assert states(batch) == [QUEUED] * 3 + [HELD] * 7
        first, second, third = in_state(batch, QUEUED)
        run(first)
        run(second, JobState.FAILED)
        assert reload(batch).state == BatchState.RUNNING
        run(third)
        batch = reload(batch)
        assert batch.state == BatchState.PAUSED
        assert batch.pause_reason == "Canary of 3 ended: 2 done, 1 not; 0 tasks out of sync. Go on?"
        assert batches.awaits_go(batch)
        assert len(in_state(batch, HELD)) == 7

    def test_nothing_but_go_lets_it_go_on(self) -> None:
        batch = started(canary=3)
        with pytest.raises(UsageError, match="only one that is paused"):
            batches.go(batch, PERSON)
        run_all(batch)
        batches.keep_batches_moving()
        with pytest.raises(UsageError, match="say go"):
            batches.resume(batch, PERSON)
        assert batches.go(batch, PERSON, "looks right") == 7
        with pytest.raises(UsageError, match="only one that is paused"):
            batches.go(batch, PERSON)
        run_all(batch)
        assert reload(batch).state == BatchState.DONE
        assert acts(batch) == ["batch.started", "batch.paused", "batch.canary_passed"]

    def test_it_keeps_to_the_pace(self) -> None:
        batch = started(canary=4, most_at_once=3)
        assert states(batch) == [QUEUED] * 3 + [HELD] * 7
        run(in_state(batch, QUEUED)[0])
        assert states(batch) == [DONE] + [QUEUED] * 3 + [HELD] * 6
        run(in_state(batch, QUEUED)[0])
        assert states(batch) == [DONE] * 2 + [QUEUED] * 2 + [HELD] * 6
        run_all(batch)
        assert batches.go(batch, PERSON) == 3

    def test_a_pause_during_the_canary_is_resumed_not_let_go(self) -> None:
        batch = started(canary=4)
        batches.pause(batch, PERSON, "lunch")
        with pytest.raises(UsageError, match="does not wait after a canary"):
            batches.go(batch, PERSON)
        assert batches.resume(batch, PERSON) == 4
        assert len(in_state(batch, QUEUED)) == 4

    def test_a_batch_as_small_as_its_canary_just_ends(self) -> None:
        stage(3)
        batch = start(replace(SYNC, canary=5))
        run_all(batch)
        assert reload(batch).state == BatchState.DONE


@pytest.mark.django_db
@pytest.mark.usefixtures("queue")
class TestStop:
    def test_pauses_when_so_many_fail_and_counts_anew_after_a_resume(self) -> None:
        batch = started(stop_after_failures=2, most_at_once=3)
        run(in_state(batch, QUEUED)[0], JobState.FAILED)
        assert reload(batch).state == BatchState.RUNNING
        running, _ = claim(in_state(batch, QUEUED)[0])
        run(in_state(batch, QUEUED)[0], JobState.LOOPING)
        batch = reload(batch)
        assert batch.state == BatchState.PAUSED
        assert batch.pause_reason == "Stopped: 2 jobs failed or looped; the batch was to stop at 2."
        assert Job.objects.get(pk=running.pk).state == JobState.PAUSING
        assert len(in_state(batch, HELD)) == 7
        assert batches.resume(batch, PERSON) == 2
        assert Job.objects.get(pk=running.pk).state == JobState.RUNNING
        run(in_state(batch, QUEUED)[0], JobState.FAILED)
        assert reload(batch).state == BatchState.RUNNING
        run(in_state(batch, QUEUED)[0], JobState.FAILED)
        assert reload(batch).pause_reason.startswith("Stopped: 4 jobs failed or looped, 2 of them since")

    def test_an_unlimited_batch_stops_too(self) -> None:
        batch = started(stop_after_failures=1)
        run(in_state(batch, QUEUED)[0], JobState.FAILED)
        assert (reload(batch).state, len(in_state(batch, HELD))) == (BatchState.PAUSED, 9)

    def test_failures_at_the_very_end_leave_nothing_to_stop(self) -> None:
        batch = started(stop_after_failures=10)
        run_all(batch, JobState.FAILED)
        assert reload(batch).state == BatchState.DONE


@pytest.mark.usefixtures("committed", "queue")
def test_every_end_of_a_job_moves_its_batch_on() -> None:
    stage(5)
    batch = start(BatchOptions(mode=Mode.SYNC, size=5, most_at_once=1, stop_after_failures=2))
    done, _ = claim(in_state(batch, QUEUED)[0])
    ending.finish(done, "done", EventLevel.INFO, None)
    failing, _ = claim(in_state(batch, QUEUED)[0])
    ending.fail(failing, Failure("boom", "Boom", transient=False, known=True), None)
    looping, _ = claim(in_state(batch, QUEUED)[0])
    Job.objects.filter(pk=looping.pk).update(stalled_attempts=2)
    recovery.recover(looping, BadEnd(AttemptOutcome.KILLED, "killed"))
    assert states(batch) == [DONE, JobState.FAILED, JobState.LOOPING, HELD, HELD]
    assert reload(batch).pause_reason.startswith("Stopped: 2 jobs")
    batches.resume(batch, PERSON)
    for _ in range(2):
        ending.finish(claim(in_state(batch, QUEUED)[0])[0], "done", EventLevel.INFO, None)
    assert reload(batch).state == BatchState.DONE


@pytest.mark.django_db
@pytest.mark.usefixtures("queue")
class TestPause:
    def test_holds_what_waits_and_asks_what_runs(self) -> None:
        batch = started()
        running, _ = claim(in_state(batch, QUEUED)[0])
        retrying = in_state(batch, QUEUED)[0]
        Job.objects.filter(pk=retrying.pk).update(state=JobState.RETRYING)
        assert batches.pause(batch, PERSON, "too loud") == (9, 1)
        assert reload(batch).pause_reason == "Paused by ada: too loud"
        assert states(batch) == [JobState.PAUSING] + [HELD] * 9
        assert "Paused by ada" in messages(retrying)[-1]
        ending.hibernate(running, "Paused at a checkpoint.", None)
        assert set(states(batch)) == {HELD}
        batches.keep_batches_moving()
        assert set(states(batch)) == {HELD}
        assert batches.resume(batch, PERSON) == 10
        assert set(states(batch)) == {QUEUED}

    def test_a_worker_that_dies_while_pausing_leaves_a_held_job(self) -> None:
        batch = started()
        running, _ = claim(in_state(batch, QUEUED)[0])
        batches.pause(batch, PERSON, "")
        recovery.recover(running, BadEnd(AttemptOutcome.VANISHED, "gone"))
        assert set(states(batch)) == {HELD}

    def test_a_resume_before_the_worker_noticed_takes_the_wish_back(self) -> None:
        batch = started(most_at_once=2)
        running, _ = claim(in_state(batch, QUEUED)[0])
        batches.pause(batch, PERSON, "")
        batches.resume(batch, PERSON)
        assert states(batch)[:3] == [JobState.RUNNING, QUEUED, HELD]
        run_job = Job.objects.get(pk=running.pk)
        ending.hibernate(run_job, "Paused at a checkpoint.", None)  # it had seen the wish already
        assert states(batch)[:3] == [QUEUED, QUEUED, HELD]

    def test_only_what_is_in_the_right_state(self) -> None:
        batch = started()
        with pytest.raises(UsageError, match="is running; only one that is paused can be resumed"):
            batches.resume(batch, PERSON)
        batches.pause(batch, PERSON, "")
        with pytest.raises(UsageError, match="is paused; only one that is running can be paused"):
            batches.pause(batch, PERSON, "")

    def test_it_ends_though_paused_when_nothing_is_left(self) -> None:
        batch = started()
        jobs = [claim(job)[0] for job in in_state(batch, QUEUED)]
        batches.pause(batch, PERSON, "")
        for job in jobs:
            Job.objects.end(job.pk, job.fence, DONE)
            batches.close_when_last_job_ended(None, job_ids=[job.pk])
        assert (reload(batch).state, reload(batch).pause_reason) == (BatchState.DONE, "")


@pytest.mark.usefixtures("committed", "queue")
def test_no_job_escapes_a_pause_while_workers_claim_and_give_back() -> None:
    stage(60)
    batch = start(BatchOptions(mode=Mode.SYNC, size=60))
    jobs = in_state(batch, QUEUED)

    def work(some: list[Job]) -> None:
        for job in some:
            claimed = Job.objects.claim(job.pk, WORKER)
            if claimed:
                ending.hibernate(claimed[0], "shutting down", None)

    results = at_once([lambda: work(jobs[:30]), lambda: work(jobs[30:]), lambda: batches.pause(batch, PERSON, "now")])
    assert not [result for result in results if isinstance(result, Exception)]
    assert set(states(batch)) == {HELD}


@pytest.mark.django_db
@pytest.mark.usefixtures("queue")
class TestCancel:
    @pytest.mark.parametrize("paused", [False, True])
    @pytest.mark.parametrize("options", [{}, {"most_at_once": 3}, {"canary": 4}])
    def test_leaves_no_active_job_from_any_state(self, options: dict[str, Any], paused: bool) -> None:
        batch = started(**options)
        running, _ = claim(in_state(batch, QUEUED)[0])
        retrying = in_state(batch, QUEUED)[0]
        Job.objects.filter(pk=retrying.pk).update(state=JobState.RETRYING)
        if paused:
            batches.pause(batch, PERSON, "hm")
        assert batches.cancel_batch(batch, PERSON, "wrong ones") == (9, 1)
        assert reload(batch).state == BatchState.CANCELLING
        recovery.recover(running, BadEnd(AttemptOutcome.VANISHED, "gone"))
        batches.keep_batches_moving()
        assert reload(batch).state == BatchState.CANCELLED
        assert set(states(batch)) == {JobState.CANCELLED}

    def test_after_the_canary_too(self) -> None:
        batch = started(canary=2)
        run_all(batch)
        batches.cancel_batch(batch, PERSON, "canary died")
        assert reload(batch).state == BatchState.CANCELLED
        assert not batch.jobs.filter(state__in=ACTIVE_STATES).exists()

    def test_a_job_that_comes_back_to_wait_is_cancelled_by_the_clock(self) -> None:
        batch = started()
        running, _ = claim(in_state(batch, QUEUED)[0])
        batches.cancel_batch(batch, PERSON, "x")
        Job.objects.filter(pk=running.pk).update(state=QUEUED)
        batches.keep_batches_moving()
        assert reload(batch).state == BatchState.CANCELLED

    def test_once(self) -> None:
        batch = started()
        batches.cancel_batch(batch, PERSON, "x")
        with pytest.raises(UsageError, match="is cancelled; only one that is running or paused can be cancelled"):
            batches.cancel_batch(batch, PERSON, "x")
