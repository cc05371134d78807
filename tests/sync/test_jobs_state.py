"""The durable job: who may claim it, what an old fence can do (nothing), and that a chunk is written whole or not."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from sync.engine.rows import DriftKind
from sync.ledger import ChunkResult, FenceLostError, Ledger
from sync.models import Attempt, AttemptOutcome, Drift, Job, JobKind, JobState, Phase, Verification
from sync.models.states import ACTIVE_STATES, HELD_STATES, WAITING_STATES
from sync.operations.workers import WorkerIdentity
from sync.publisher import Receipt
from tests.sync.jobs import OTHER_WORKER, WORKER, claim, fall_silent, finding, make_job

pytest_plugins = ["tests.fixtures_sync"]

ENDED = [state for state in JobState if state.terminal]
NOT_CLAIMABLE = [state for state in JobState if state not in (JobState.QUEUED, JobState.RETRYING)]


def ledger_of(job: Job) -> Ledger:
    return Ledger(job.pk, job.fence)


def chunk(upto: str | None = "5", *findings_of: DriftKind, publish: bool = False) -> ChunkResult:
    findings = tuple(finding(kind) for kind in findings_of)
    receipts = [Receipt(found.task_id, 1, 10) for found in findings] if publish else []
    return ChunkResult(upto=upto, scanned=7, unsettled=1, findings=findings, receipts=receipts)


def test_states_are_waiting_held_or_ended() -> None:
    assert set(WAITING_STATES) | set(HELD_STATES) == set(ACTIVE_STATES)
    assert set(ACTIVE_STATES) | set(ENDED) == set(JobState)
    assert all(state.tone for state in JobState)


@pytest.mark.django_db
class TestClaim:
    def test_gives_fence_attempt_and_heartbeat(self) -> None:
        job, attempt = claim(make_job(scanned=40))
        assert (job.state, job.fence, job.worker) == (JobState.RUNNING, 1, WORKER.name)
        assert (attempt.number, attempt.host, attempt.pid, attempt.scanned_before) == (1, "host", 4711, 40)
        assert job.heartbeat_at is not None
        assert job.started_at is not None

    def test_a_second_claim_gets_nothing(self) -> None:
        job, _ = claim(make_job())
        assert Job.objects.claim(job.pk, OTHER_WORKER) is None
        assert Attempt.objects.filter(job=job).count() == 1

    @pytest.mark.parametrize("state", NOT_CLAIMABLE)
    def test_only_a_waiting_job_can_be_claimed(self, state: JobState) -> None:
        assert Job.objects.claim(make_job(state=state).pk, WORKER) is None

    def test_a_retry_waits_for_its_time(self) -> None:
        later, now = timezone.now() + timedelta(minutes=5), timezone.now() - timedelta(seconds=1)
        assert Job.objects.claim(make_job(state=JobState.RETRYING, not_before=later).pk, WORKER) is None
        assert Job.objects.claim(make_job(state=JobState.RETRYING, not_before=now).pk, WORKER) is not None

    def test_an_unknown_job_is_not_claimed(self) -> None:
        assert Job.objects.claim(10**9, WORKER) is None

    def test_the_fence_rises_with_each_claim(self) -> None:
        job, _ = claim(make_job())
        started = job.started_at
        assert Job.objects.give_back(job.pk, job.fence)
        again, attempt = claim(job, OTHER_WORKER)
        assert (again.fence, attempt.number, again.started_at) == (2, 2, started)


@pytest.mark.usefixtures("committed")
def test_of_many_claims_at_once_one_wins() -> None:
    jobs = [make_job() for _ in range(5)]
    start = threading.Barrier(4)
    won: list[tuple[int, str]] = []

    def race(worker: WorkerIdentity) -> None:
        try:
            for job in jobs:
                start.wait(10)
                if Job.objects.claim(job.pk, worker):
                    won.append((job.pk, worker.name))
        finally:
            connection.close()

    racers = [threading.Thread(target=race, args=(WorkerIdentity(f"w{n}", "host", n),)) for n in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert sorted(job for job, _ in won) == [job.pk for job in jobs]
    workers = dict(Job.objects.values_list("pk", "worker"))
    assert dict(won) == workers
    assert Attempt.objects.count() == len(jobs)


@pytest.mark.django_db
class TestFence:
    """Attempt 1 was taken for dead; attempt 2 has the job. Whatever 1 still does changes nothing."""

    @pytest.fixture
    def old(self) -> Job:
        job, _ = claim(make_job())
        Job.objects.give_back(job.pk, job.fence)
        claim(job, OTHER_WORKER)
        return job

    def test_a_chunk_is_refused(self, old: Job) -> None:
        with pytest.raises(FenceLostError, match=f"attempt 1 no longer holds job {old.pk}"):
            ledger_of(old).commit_chunk(chunk("5", DriftKind.MISSING))
        old.refresh_from_db()
        assert (old.scanned, old.missing, old.checkpoint) == (0, 0, None)
        assert not Drift.objects.exists()

    def test_verification_marks_are_refused(self, old: Job) -> None:
        row = Drift.objects.create(job=old, task_id="1", kind="stale", verification=Verification.PENDING)
        with pytest.raises(FenceLostError):
            ledger_of(old).mark_verified([row.pk])
        row.refresh_from_db()
        assert row.status is Verification.PENDING

    def test_phase_expectation_and_state_are_refused(self, old: Job) -> None:
        ledger = ledger_of(old)
        for write in (ledger.enter_verification, lambda: ledger.expect(5), ledger.state):
            with pytest.raises(FenceLostError):
                write()
        old.refresh_from_db()
        assert (old.phase, old.expected) == (Phase.WALK, None)

    def test_ends_are_refused(self, old: Job) -> None:
        assert not Job.objects.end(old.pk, old.fence, JobState.DONE)
        assert not Job.objects.give_back(old.pk, old.fence)
        assert not Job.objects.retry_later(old.pk, old.fence, timedelta(minutes=5))
        old.refresh_from_db()
        assert old.state == JobState.RUNNING

    def test_putting_it_aside_is_refused(self, old: Job) -> None:
        assert Job.objects.filter(pk=old.pk).ask_to_pause()
        assert not Job.objects.hold_back(old.pk, old.fence)
        assert Job.objects.hold_back(old.pk, old.fence + 1)

    def test_of_those_taken_together_too(self, old: Job) -> None:
        """One that was taken, given back and is taken with others has a fence of its own again."""
        job = make_job()
        (first,) = Job.objects.claim_all([job.pk], WORKER)
        Job.objects.give_back(job.pk, first.fence)
        (second, third) = Job.objects.claim_all([job.pk, old.pk, make_job().pk], OTHER_WORKER)
        assert (second.pk, second.fence, third.fence) == (job.pk, 2, 1)
        with pytest.raises(FenceLostError):
            ledger_of(first).commit_chunk(chunk())
        assert not Job.objects.end(job.pk, first.fence, JobState.DONE)

    @pytest.mark.parametrize("state", ENDED)
    def test_an_ended_job_takes_no_more_writes(self, state: JobState) -> None:
        job, _ = claim(make_job())
        assert Job.objects.end(job.pk, job.fence, state)
        with pytest.raises(FenceLostError):
            ledger_of(job).commit_chunk(chunk())
        assert not Job.objects.end(job.pk, job.fence, JobState.DONE)


@pytest.mark.django_db
class TestChunk:
    def test_drift_counters_checkpoint_and_heartbeat_are_written_together(self) -> None:
        job, _ = claim(make_job(stalled_attempts=2))
        fall_silent(job)
        kinds = (DriftKind.STALE, DriftKind.STALE, DriftKind.MISSING, DriftKind.ORPHAN)
        assert ledger_of(job).commit_chunk(chunk("abc", *kinds, publish=True)) is JobState.RUNNING
        job.refresh_from_db()
        assert (job.stale, job.missing, job.orphan, job.drift_found) == (2, 1, 1, 4)
        assert (job.scanned, job.unsettled, job.published, job.checkpoint) == (7, 1, 4, "abc")
        assert job.stalled_attempts == 0
        assert not Job.objects.silent_for(30).filter(pk=job.pk).exists()
        rows = Drift.objects.filter(job=job)
        assert sorted(rows.values_list("kind", flat=True)) == sorted(kinds)
        assert set(rows.values_list("verification", "partition", "offset")) == {("pending", 1, 10)}

    def test_each_side_of_a_finding_is_kept_as_it_was(self) -> None:
        job, _ = claim(make_job())
        ledger_of(job).commit_chunk(chunk("1", DriftKind.MISSING, DriftKind.ORPHAN))
        missing, orphan = Drift.objects.filter(job=job).order_by("kind")
        assert missing.source is not None
        assert (missing.source["status"], missing.index, missing.source_version) == ("waiting", None, 1)
        assert orphan.index is not None
        assert (orphan.index["status"], orphan.source, orphan.index_version) == ("waiting", None, 1)
        assert {missing.verification, orphan.verification} == {Verification.NONE}

    def test_an_error_in_the_middle_leaves_nothing(self) -> None:
        job, _ = claim(make_job())
        ledger = ledger_of(job)
        first = chunk("1", DriftKind.MISSING)
        ledger.commit_chunk(first)
        again = ChunkResult("2", 7, 0, (finding(), *first.findings), ())  # one of them is there already
        with pytest.raises(IntegrityError), transaction.atomic():
            ledger.commit_chunk(again)
        job.refresh_from_db()
        assert (job.checkpoint, job.scanned, job.missing) == ("1", 7, 1)
        assert Drift.objects.filter(job=job).count() == 1

    def test_the_last_chunk_ends_the_walk_in_the_same_transaction(self) -> None:
        """Otherwise an attempt that dies right after it would find, count and publish that chunk a second time."""
        job, _ = claim(make_job(checkpoint="4"))
        ledger_of(job).commit_chunk(chunk(None, DriftKind.MISSING))
        job.refresh_from_db()
        assert (job.phase, job.checkpoint) == (Phase.VERIFY, "4")

    def test_says_when_the_job_is_being_cancelled(self) -> None:
        job, _ = claim(make_job())
        Job.objects.filter(pk=job.pk).ask_to_cancel()
        assert ledger_of(job).commit_chunk(chunk()) is JobState.CANCELLING

    def test_marking_twice_counts_once(self) -> None:
        job, _ = claim(make_job())
        ledger = ledger_of(job)
        ledger.commit_chunk(chunk("1", DriftKind.STALE, DriftKind.MISSING, publish=True))
        ids = list(Drift.objects.filter(job=job).values_list("pk", flat=True))
        ledger.mark_verified(ids[:1])
        ledger.mark_verified(ids)
        job.refresh_from_db()
        assert (job.verified, job.unresolved) == (2, 0)

    def test_giving_up_twice_counts_once_and_what_arrives_later_is_verified(self) -> None:
        """An attempt that dies right after it gave up is followed by one that looks again."""
        job, _ = claim(make_job())
        ledger = ledger_of(job)
        ledger.commit_chunk(chunk("1", DriftKind.STALE, DriftKind.MISSING, publish=True))

        def statuses() -> list[Verification]:
            return [drift.status for drift in Drift.objects.filter(job=job).order_by("pk")]

        assert statuses() == [Verification.PENDING] * 2
        ledger.give_up(2)
        ledger.give_up(2)
        job.refresh_from_db()
        assert (job.verified, job.unresolved) == (0, 2)
        assert statuses() == [Verification.UNRESOLVED] * 2
        first = Drift.objects.filter(job=job).earliest("pk").pk
        ledger.mark_verified([first])
        ledger.give_up(1)
        job.refresh_from_db()
        assert (job.verified, job.unresolved) == (1, 1)
        assert statuses() == [Verification.VERIFIED, Verification.UNRESOLVED]


@pytest.mark.django_db
class TestOneActiveJobPerOrganization:
    @pytest.mark.parametrize("state", ACTIVE_STATES)
    def test_a_second_one_is_refused(self, state: JobState) -> None:
        first = make_job(state=state)
        with pytest.raises(IntegrityError, match="one_active_job_per_organization"):
            make_job(organization_id=first.organization_id)

    @pytest.mark.parametrize("state", ENDED)
    def test_an_ended_one_leaves_room(self, state: JobState) -> None:
        assert make_job(organization_id=make_job(state=state).organization_id).pk

    def test_lists_of_tasks_are_not_bound(self) -> None:
        jobs = [make_job(kind=JobKind.TASKS, organization_id="", task_ids=["1"]) for _ in range(2)]
        assert len(jobs) == 2


@pytest.mark.django_db
class TestTransitions:
    def test_a_waiting_job_is_cancelled_at_once(self) -> None:
        queued, retrying = make_job(), make_job(state=JobState.RETRYING, not_before=timezone.now())
        assert Job.objects.filter(pk__in=[queued.pk, retrying.pk]).cancel_waiting() == 2
        queued.refresh_from_db()
        assert (queued.state, queued.ended_at is None) == (JobState.CANCELLED, False)
        assert Job.objects.claim(queued.pk, WORKER) is None

    def test_a_running_job_is_asked(self) -> None:
        job, _ = claim(make_job())
        one = Job.objects.filter(pk=job.pk)
        assert (one.cancel_waiting(), one.ask_to_cancel(), one.ask_to_cancel()) == (0, 1, 0)
        job.refresh_from_db()
        assert job.state == JobState.CANCELLING
        assert job.cancel_requested_at is not None

    def test_a_cancelled_running_job_is_not_given_back_or_retried(self) -> None:
        job, _ = claim(make_job())
        Job.objects.filter(pk=job.pk).ask_to_cancel()
        assert not Job.objects.give_back(job.pk, job.fence)
        assert not Job.objects.retry_later(job.pk, job.fence, timedelta(minutes=5))
        assert Job.objects.end(job.pk, job.fence, JobState.CANCELLED)

    def test_ending_needs_a_state_that_is_an_end(self) -> None:
        job, _ = claim(make_job())
        with pytest.raises(AssertionError):
            Job.objects.end(job.pk, job.fence, JobState.QUEUED)

    def test_requeued_it_keeps_checkpoint_and_counters(self) -> None:
        job = make_job(state=JobState.FAILED, checkpoint="9", scanned=90, error="x", ended_at=timezone.now())
        assert Job.objects.filter(pk=job.pk).requeue(states=(JobState.FAILED,)) == 1
        job.refresh_from_db()
        assert (job.state, job.checkpoint, job.scanned, job.error, job.ended_at) == ("queued", "9", 90, "", None)

    @pytest.mark.parametrize("state", [JobState.DONE, JobState.QUEUED, *HELD_STATES])
    def test_only_the_named_states_are_requeued(self, state: JobState) -> None:
        job = make_job(state=state)
        assert Job.objects.filter(pk=job.pk).requeue(states=(JobState.FAILED, JobState.CANCELLED)) == 0

    def test_an_attempt_has_one_number_per_job(self) -> None:
        job, attempt = claim(make_job())
        with pytest.raises(IntegrityError, match="attempt_number"):
            Attempt.objects.create(job=job, number=attempt.number, worker="x", host="x", pid=1)

    def test_outcomes_have_a_tone(self) -> None:
        assert all(outcome.tone for outcome in AttemptOutcome)

    def test_a_task_is_drift_once_per_job(self) -> None:
        job = make_job()
        Drift.objects.create(job=job, task_id="1", kind="stale")
        Drift.objects.create(job=make_job(), task_id="1", kind="stale")
        with pytest.raises(IntegrityError, match="drift_once_per_job"):
            Drift.objects.create(job=job, task_id="1", kind="stale")

    def test_audit_reads_the_subject(self) -> None:
        assert make_job(organization_id="o1").subject == "o1"
        assert (
            make_job(kind=JobKind.TASKS, organization_id="", task_ids=["1", "2"], trace_id=uuid4()).subject == "2 tasks"
        )
