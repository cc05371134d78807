"""Many jobs at once: what is answered is what the database changed, and nothing else is touched."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
import redis
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.audit import Actor, Door
from opsconsole.errors import UsageError
from opsconsole.models import AuditEntry
from sync.models import BatchState, Job, JobEvent, JobKind, JobState, SkippedOrganization, SkipReason, Step
from sync.operations import bulk
from sync.operations.bulk import Act, climb_jobs, retry_jobs, select
from sync.operations.ladder import Climbed, Target
from sync.operations.skipping import skip_job, skip_jobs
from tests.sync.jobs import make_job
from tests.web.sync_rows import make_batch

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.django_db
ADA = Actor("ada", Door.PAGE)


def states(jobs: list[Job]) -> list[str]:
    found = dict(Job.objects.filter(pk__in=[job.pk for job in jobs]).values_list("pk", "state"))
    return [found[job.pk] for job in jobs]


def numbers(jobs: list[Job]) -> list[int]:
    return [job.pk for job in jobs]


def cancel_jobs(job_ids: list[int], actor: Actor, reason: str) -> Climbed:
    return climb_jobs([Target(number) for number in job_ids], Step.CANCEL, actor, reason)


def one_of_each_state() -> list[Job]:
    return [make_job(state=state) for state in JobState]


def test_cancel_changes_what_is_active_and_says_so() -> None:
    jobs, other = one_of_each_state(), make_job()
    result = cancel_jobs(numbers(jobs), ADA, "wrong window")
    assert (len(result.waiting), len(result.asked), result.unchanged) == (3, 2, 5)
    assert dict(zip(JobState, states(jobs), strict=True)) == {
        **{state: state for state in JobState},
        **dict.fromkeys((JobState.PLANNED, JobState.QUEUED, JobState.RETRYING), "cancelled"),
        **dict.fromkeys((JobState.RUNNING, JobState.PAUSING), "cancelling"),
    }
    assert states([other]) == [JobState.QUEUED]
    entry = AuditEntry.objects.get(action="jobs.cancelled")
    assert (entry.reason, entry.details["cancelled"], entry.details["asked"]) == ("wrong window", 3, 2)
    assert sorted(entry.details["jobs"]) == numbers(jobs)[:5]
    assert JobEvent.objects.filter(message__contains="by ada: wrong window").count() == 5
    assert cancel_jobs(numbers(jobs), ADA, "again") == Climbed((), (), 10)


def test_cancelling_the_last_jobs_ends_their_batch() -> None:
    batch = make_batch()
    jobs = [make_job(batch=batch) for _ in range(3)]
    cancel_jobs(numbers(jobs), ADA, "x")
    batch.refresh_from_db()
    assert batch.state == BatchState.DONE


def test_retry_runs_again_what_it_can(queue: redis.Redis) -> None:
    jobs = one_of_each_state()
    result = retry_jobs(numbers(jobs), ADA)
    assert (result.retried, result.unchanged, result.busy, result.closing) == (4, 6, 0, 0)
    again = {JobState.RETRYING, JobState.CANCELLED, JobState.FAILED, JobState.LOOPING}
    assert states(jobs) == [JobState.QUEUED if state in again else state for state in JobState]
    entry = AuditEntry.objects.get(action="jobs.retried")
    assert entry.details["jobs"] == numbers([job for job in jobs if job.state in again])


def test_retry_takes_the_newest_job_of_an_organization_and_none_of_a_busy_one(queue: redis.Redis) -> None:
    shared, busy = str(uuid4()), str(uuid4())
    old, new = (make_job(organization_id=shared, state=JobState.FAILED) for _ in range(2))
    failed = make_job(organization_id=busy, state=JobState.FAILED)
    make_job(organization_id=busy, state=JobState.RUNNING)
    window = make_job(organization_id=busy, kind=JobKind.WINDOW, state=JobState.CANCELLED)
    by_hand = make_job(organization_id="", kind=JobKind.TASKS, state=JobState.FAILED)
    jobs = [old, new, failed, window, by_hand]
    result = retry_jobs(numbers(jobs), ADA)
    assert (result.retried, result.busy) == (2, 3)
    assert states(jobs) == ["failed", "queued", "failed", "cancelled", "queued"]


def test_retry_in_an_ended_batch_reopens_it_and_keeps_its_pace(queue: redis.Redis) -> None:
    batch = make_batch(state=BatchState.DONE, ended_at=timezone.now(), most_at_once=2, failures_accepted=3)
    jobs = [make_job(batch=batch, state=JobState.FAILED, error_fingerprint="ab" * 8) for _ in range(5)]
    result = retry_jobs(numbers(jobs[:4]), ADA)
    batch.refresh_from_db()
    assert (result.retried, result.waiting) == (4, 0)
    assert (batch.state, batch.ended_at, batch.failures_accepted) == (BatchState.RUNNING, None, 1)
    assert states(jobs) == ["queued", "queued", "planned", "planned", "failed"]
    assert Job.objects.filter(error_fingerprint="").count() == 4


def test_retry_respects_paused_and_cancelling_batches(queue: redis.Redis) -> None:
    paused, closing = make_batch(state=BatchState.PAUSED), make_batch(state=BatchState.CANCELLING)
    jobs = [make_job(batch=batch, state=JobState.FAILED) for batch in (paused, closing)]
    result = retry_jobs(numbers(jobs), ADA)
    assert (result.retried, result.waiting, result.closing) == (1, 1, 1)
    assert states(jobs) == ["planned", "failed"]
    assert "wait until their batch is resumed" in result.sentence()


def test_retry_counts_failures_anew(queue: redis.Redis) -> None:
    later = timezone.now() + timedelta(minutes=5)
    job = make_job(state=JobState.RETRYING, not_before=later, failures=2, stalled_attempts=2, error="x")
    retry_jobs([job.pk], ADA)
    job.refresh_from_db()
    assert (job.state, job.not_before, job.failures, job.stalled_attempts) == (JobState.QUEUED, None, 0, 0)


def test_skip_lists_each_organization_once_and_stops_its_jobs() -> None:
    shared, listed = str(uuid4()), str(uuid4())
    old, new = make_job(organization_id=shared, state=JobState.DONE), make_job(organization_id=shared)
    running = make_job(organization_id=listed, state=JobState.RUNNING)
    by_hand = make_job(organization_id="", kind=JobKind.TASKS)
    SkippedOrganization.objects.create(organization_id=listed, reason=SkipReason.LOOPED, skipped_by="clock")
    result = skip_jobs(numbers([old, new, running, by_hand]), SkipReason.TOO_LARGE, "200 GB", ADA)
    assert (result.added, result.already, result.cancelled, result.asked) == (1, 1, 1, 1)
    assert states([old, new, running, by_hand]) == ["done", "cancelled", "cancelling", "queued"]
    entry = SkippedOrganization.objects.get(organization_id=shared)
    assert (entry.job_id, entry.reason, entry.note, entry.skipped_by) == (new.pk, "too_large", "200 GB", "ada")
    assert SkippedOrganization.objects.get(organization_id=listed).reason == SkipReason.LOOPED
    audited = AuditEntry.objects.get(action="organizations.skipped")
    assert (audited.reason, audited.details["organizations"]) == ("200 GB", [shared])


def test_skip_of_one_job_and_of_none() -> None:
    job = make_job(state=JobState.FAILED)
    assert skip_job(job, SkipReason.BY_HAND, "asked", ADA).added == 1
    assert AuditEntry.objects.get().subject == f"job:{job.pk}"
    with pytest.raises(UsageError, match="No job"):
        skip_jobs([], SkipReason.BY_HAND, "x", ADA)
    with pytest.raises(UsageError, match="None of these jobs"):
        skip_jobs([make_job(organization_id="", kind=JobKind.TASKS).pk], SkipReason.BY_HAND, "x", ADA)


def test_more_than_a_thousand_are_refused_before_anything_happens(queue: redis.Redis) -> None:
    job = make_job()
    many = list(range(job.pk, job.pk + bulk.MOST + 1))
    for act in (
        lambda: cancel_jobs(many, ADA, "x"),
        lambda: retry_jobs(many, ADA),
        lambda: skip_jobs(many, SkipReason.OTHER, "x", ADA),
    ):
        with pytest.raises(UsageError, match="1,001 jobs are too many"):
            act()
    assert states([job]) == [JobState.QUEUED]


def test_a_selection_says_what_an_act_would_take() -> None:
    jobs = one_of_each_state()
    make_job(organization_id="", kind=JobKind.TASKS, state=JobState.DONE)
    cancel, stop, kill, retry, skip, delete = (select(act, Job.objects.all()) for act in Act)
    assert {state for state, _ in cancel.states} == {"planned", "queued", "running", "retrying", "pausing"}
    assert {state for state, _ in stop.states} == {"running", "pausing", "cancelling"}
    assert kill.jobs == stop.jobs
    assert {state for state, _ in delete.states} == {"done", "failed", "looping", "cancelled"}
    assert {state for state, _ in retry.states} == {"retrying", "cancelled", "failed", "looping"}
    assert [target.job for target in skip.jobs] == list(reversed(numbers(jobs)))
    assert (skip.left_out.value, skip.organization_total, skip.more) == (1, 10, False)


def test_a_selection_is_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "MOST", 3)
    jobs = [make_job() for _ in range(4)]
    found = select(Act.CANCEL, Job.objects.all())
    assert ([target.job for target in found.jobs], found.more) == (list(reversed(numbers(jobs[1:]))), True)


@given(st.builds(bulk.RetriedJobs, *[st.integers(0, 1_000)] * 5))
def test_sentences_leave_nothing_out(result: bulk.RetriedJobs) -> None:
    for count in (result.retried, result.waiting, result.busy, result.closing, result.unchanged):
        assert f"{count:,}" in result.sentence() or not count
