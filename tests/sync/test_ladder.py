"""The ladder's rules: what is asked, when the clock climbs, and that a job being cancelled never runs again."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import redis

from opsconsole.audit import Actor, Door
from opsconsole.errors import UnavailableError, UsageError
from opsconsole.models import AuditEntry
from opsconsole.worker import work_horse_ended, work_horse_signalled
from sync import ending, queueing, reach
from sync.models import Attempt, AttemptOutcome, Job, JobState, Step, StopStep
from sync.operations import ladder
from sync.operations.ladder import Move, Situation, Target, climb, climb_all, climb_stuck_jobs, decide
from sync.reconcile import SILENCE_SECONDS, end_stuck_jobs, reconcile
from tests.sync.jobs import OTHER_WORKER, WORKER, claim, fall_silent, make_job, messages

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.usefixtures("committed", "queue", "use_estate")
ADA = Actor("ada", Door.PAGE)
SILENCE = timedelta(seconds=SILENCE_SECONDS)


@pytest.mark.parametrize(
    ("step", "seconds", "silent", "gone", "move"),
    [
        (Step.CANCEL, 29, False, False, Move.WAIT),
        (Step.CANCEL, 30, False, False, Move.STOP),
        (Step.CANCEL, 1, True, False, Move.KILL),
        (Step.STOP, 9, False, False, Move.WAIT),
        (Step.STOP, 10, False, False, Move.KILL),
        (Step.STOP, 1, True, False, Move.KILL),
        (Step.KILL, 29, False, False, Move.WAIT),
        (Step.KILL, 29, False, True, Move.WAIT),
        (Step.KILL, 30, False, False, Move.END),
        (Step.KILL, 9, True, False, Move.WAIT),
        (Step.KILL, 10, True, False, Move.END),
        (Step.KILL, 0, True, True, Move.END),
    ],
)
def test_what_comes_next(step: Step, seconds: int, silent: bool, gone: bool, move: Move) -> None:
    assert decide(Situation(step, timedelta(seconds=seconds), silent, gone)) is move


def held() -> Job:
    return claim(make_job())[0]


def asked_ago(job: Job, seconds: float) -> None:
    """As if the last step had been asked so long ago."""
    for step in StopStep.objects.filter(job=job):
        StopStep.objects.filter(pk=step.pk).update(requested_at=step.requested_at - timedelta(seconds=seconds))


def steps(job: Job) -> list[str]:
    return list(StopStep.objects.filter(job=job).order_by("pk").values_list("step", flat=True))


@pytest.mark.parametrize("step", Step)
class TestAsking:
    def test_a_waiting_job_is_cancelled_at_once(self, step: Step) -> None:
        job = make_job()
        assert climb(job, step, ADA, "wrong one") is JobState.CANCELLED
        assert (steps(job), messages(job)) == ([], ["Cancelled by ada: wrong one."])

    def test_a_running_one_is_asked_and_audited(self, step: Step) -> None:
        job = held()
        assert climb(job, step, ADA, "wrong one") is JobState.CANCELLING
        row = StopStep.objects.get(job=job)
        assert (row.step, row.attempt, row.requested_by, row.reason) == (step, job.fence, "ada", "wrong one")
        assert (row.acknowledged_at, row.ended_at) == (None, None)
        entry = AuditEntry.objects.get(subject=f"job:{job.pk}")
        assert (entry.action, entry.reason) == (f"job.{step.done}", "wrong one")

    def test_an_ended_one_is_refused(self, step: Step) -> None:
        job = make_job(state=JobState.DONE)
        with pytest.raises(UsageError, match=f"has ended already .done.; there is nothing to {step}"):
            climb(job, step, ADA, "x")
        assert not AuditEntry.objects.exists()


def test_another_attempt_than_was_meant_is_left_alone() -> None:
    job = held()
    seen = job.fence
    Job.objects.give_back(job.pk, job.fence)
    claim(job, OTHER_WORKER)
    with pytest.raises(UsageError, match="is in attempt 2 by now; nothing was done"):
        climb(job, Step.KILL, ADA, "stuck", fence=seen)
    assert climb_all([Target(job.pk, seen)], Step.STOP, ADA, "x").unchanged == 1
    assert (Job.objects.get(pk=job.pk).state, steps(job)) == (JobState.RUNNING, [])


def test_asking_twice_is_one_step_whose_signal_is_sent_again() -> None:
    job = held()
    climb(job, Step.STOP, ADA, "x")
    climb(job, Step.STOP, ADA, "y")
    row = StopStep.objects.get(job=job)
    assert row.reason == "x"
    assert [line for line in row.sentences if "nobody listens in Redis" in line] == [row.sentences[0]] * 2


def test_a_process_that_ends_at_a_chunk_closes_what_was_asked() -> None:
    job = held()
    climb(job, Step.CANCEL, ADA, "x")
    ending.finish_cancelled(job, "Cancelled at a checkpoint.", 5)
    row = StopStep.objects.get(job=job)
    assert row.acknowledged_at is not None
    assert row.ended_at is not None
    assert "itself: Cancelled at a checkpoint." in row.evidence


class TestTheClock:
    def test_climbs_step_by_step(self) -> None:
        job = held()
        climb(job, Step.CANCEL, ADA, "x")
        assert climb_stuck_jobs(SILENCE) == 0
        asked_ago(job, 31)
        assert (climb_stuck_jobs(SILENCE), steps(job)) == (1, ["cancel", "stop"])
        assert (climb_stuck_jobs(SILENCE), steps(job)) == (0, ["cancel", "stop"])
        asked_ago(job, 11)
        assert (climb_stuck_jobs(SILENCE), steps(job)) == (1, ["cancel", "stop", "kill"])
        kill = StopStep.objects.get(job=job, step=Step.KILL)
        assert kill.requested_by == "clock"
        assert re.fullmatch(r"it did not end within \d\d s of “stop”", kill.reason)
        asked_ago(job, 31)
        climb_stuck_jobs(SILENCE)
        job.refresh_from_db()
        assert (job.state, Attempt.objects.get(job=job).outcome) == (JobState.CANCELLED, AttemptOutcome.VANISHED)
        assert "does not obey. What it still writes is refused." in messages(job)[-1]

    def test_ends_a_silent_one_of_which_nobody_is_left(self) -> None:
        job = held()
        climb(job, Step.CANCEL, ADA, "x")
        fall_silent(job)
        reconcile()
        end_stuck_jobs()
        job.refresh_from_db()
        assert (job.state, steps(job)) == (JobState.CANCELLED, ["cancel", "kill"])
        assert Job.objects.claim(job.pk, OTHER_WORKER) is None
        kill = StopStep.objects.get(job=job, step=Step.KILL)
        assert (kill.acknowledged_at, kill.ended_at is None) == (None, False)
        assert "fell silent, and nobody has seen its process end. It was being cancelled" in kill.evidence

    def test_waits_for_the_word_of_a_worker_that_listens(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reach, "send", lambda process, step: reach.Reached(True, "told"))
        job = held()
        climb(job, Step.CANCEL, ADA, "x")
        fall_silent(job)
        end_stuck_jobs()
        assert Job.objects.get(pk=job.pk).state == JobState.CANCELLING
        asked_ago(job, 11)
        end_stuck_jobs()
        assert Job.objects.get(pk=job.pk).state == JobState.CANCELLED

    def test_redis_away_does_not_keep_a_job_from_ending(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def away(*args: object) -> int:
            raise redis.ConnectionError("away")

        monkeypatch.setattr(queueing, "tell_worker", away)
        job = held()
        climb(job, Step.KILL, ADA, "x")
        assert "Redis cannot be reached" in StopStep.objects.get(job=job).evidence
        fall_silent(job)
        asked_ago(job, 11)
        end_stuck_jobs()
        assert Job.objects.get(pk=job.pk).state == JobState.CANCELLED

    def test_leaves_alone_what_runs(self) -> None:
        job = held()
        assert climb_stuck_jobs(timedelta(0)) == 0
        assert Job.objects.get(pk=job.pk).state == JobState.RUNNING


class TestWhatTheWorkerTells:
    def test_a_signal_that_was_sent(self) -> None:
        job = held()
        climb(job, Step.STOP, ADA, "x")
        told = {"worker": WORKER.name, "pid": WORKER.pid}
        work_horse_signalled.send(sender=None, number=reach.SIGNALS[Step.STOP], **told)
        row = StopStep.objects.get(job=job)
        assert row.acknowledged_at is not None
        assert row.sentences[-1] == "SIGUSR1 was sent to process 4711 by its worker."
        ending.hibernate(job, "Interrupted.", None)
        work_horse_ended.send(sender=None, exit_status=0, **told)
        row.refresh_from_db()
        assert row.sentences[-1] == "Process 4711 ended with exit status 0, as its worker saw."

    def test_another_process_says_nothing_of_this_one(self) -> None:
        job = held()
        climb(job, Step.STOP, ADA, "x")
        before = StopStep.objects.get(job=job).evidence
        work_horse_signalled.send(sender=None, number=reach.SIGNALS[Step.STOP], worker=WORKER.name, pid=1)
        work_horse_ended.send(sender=None, exit_status=0, worker=OTHER_WORKER.name, pid=WORKER.pid)
        assert StopStep.objects.get(job=job).evidence == before


def test_statements_are_cancelled_at_no_server_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """That a server is away must not keep a process from being stopped."""

    def away(*args: object) -> int:
        raise UnavailableError("The source cannot be reached.")

    monkeypatch.setattr("opsconsole.postgres.Database.cancel_statements", away)
    job = held()
    assert climb(job, Step.STOP, ADA, "x") is JobState.CANCELLING
    assert "could not be cancelled: The source cannot be reached." in StopStep.objects.get(job=job).evidence
    assert ladder.deliver([job.pk], Step.STOP) == frozenset()
