"""Small organizations swept up in one go: the same results as one by one, and nobody else's job taken."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from sync import queueing, sweep
from sync.jobs import run_job
from sync.models import Attempt, AttemptOutcome, Job, JobEvent, JobState, Mode
from sync.operations.workers import WorkerIdentity
from sync.queueing import enqueue_after_commit
from sync.signals import jobs_ended
from tests.company import Company
from tests.sync.jobs import make_job

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = [
    pytest.mark.usefixtures("committed", "queue", "use_estate"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # kafka-python leaves sockets to the garbage collector
]

OTHER = WorkerIdentity("other", "host", 1)


@pytest.fixture
def waiting(company: Company) -> Callable[..., list[Job]]:
    """A queued job for every organization of the company."""

    def queue_all(mode: Mode = Mode.REPORT) -> list[Job]:
        jobs = [make_job(organization_id=str(organization), mode=mode) for organization in company.organizations()]
        enqueue_after_commit(jobs)
        return jobs

    return queue_all


def done(jobs: list[Job]) -> list[tuple[str, int, int]]:
    rows = Job.objects.filter(pk__in=[job.pk for job in jobs]).order_by("organization_id")
    return [(row.organization_id, row.scanned, row.drift_found) for row in rows if row.state == JobState.DONE]


def counts(company: Company) -> dict[str, int]:
    rows = company.in_source("SELECT organization_id, count(*) FILTER (WHERE deleted_at IS NULL) FROM tasks GROUP BY 1")
    return {str(organization): count for organization, count in rows}


def test_one_run_does_all_that_wait(company: Company, waiting: Callable[..., list[Job]]) -> None:
    jobs = waiting()
    stale = company.organizations()[1]
    company.in_source("UPDATE tasks SET status = 'cancelled', version = 99 WHERE id = %s", company.tasks(stale)[0])
    assert run_job(jobs[0].pk) == "done"
    found = {organization: drift for organization, _, drift in done(jobs)}
    assert len(found) == len(jobs)
    assert {organization for organization, drift in found.items() if drift} == {str(stale)}
    assert {organization: scanned for organization, scanned, _ in done(jobs)} == {
        organization: counts(company).get(organization, 0) for organization in found
    }


def test_each_has_one_attempt_and_a_log(waiting: Callable[..., list[Job]]) -> None:
    jobs = waiting()
    run_job(jobs[0].pk)
    attempts = Attempt.objects.filter(job__in=jobs)
    assert sorted(attempts.values_list("job_id", "number")) == [(job.pk, 1) for job in jobs]
    assert set(attempts.values_list("outcome", flat=True)) == {AttemptOutcome.DONE}
    assert set(JobEvent.objects.filter(job__in=jobs, attempt=1).values_list("job_id", flat=True)) == {
        j.pk for j in jobs
    }


def test_their_end_is_told_once_for_all(waiting: Callable[..., list[Job]]) -> None:
    """Whoever hears of it asks the database for the batch and the skip list: for each of a hundred that costs more than
    to compare them."""
    jobs, told = waiting(), []

    def listen(sender: object, *, job_ids: list[int], **_: object) -> None:
        told.append(sorted(job_ids))

    jobs_ended.connect(listen, weak=False, dispatch_uid="tests")
    try:
        run_job(jobs[0].pk)
    finally:
        jobs_ended.disconnect(dispatch_uid="tests")
    assert told == [[jobs[0].pk], [job.pk for job in jobs[1:]]]


def test_their_messages_leave_the_queue(waiting: Callable[..., list[Job]], queue: redis.Redis) -> None:
    jobs = waiting()
    run_job(jobs[0].pk)
    assert queueing.waiting() - {jobs[0].pk} == set()


def test_large_ones_and_those_of_others_are_left_alone(
    waiting: Callable[..., list[Job]], monkeypatch: pytest.MonkeyPatch, company: Company
) -> None:
    jobs = waiting()
    taken = Job.objects.claim(jobs[3].pk, OTHER)
    assert taken is not None
    most = sorted(counts(company).values())[-2]
    monkeypatch.setattr(sweep, "SMALL_ORGANIZATION", most)
    run_job(jobs[0].pk)
    left = {job.organization_id: job for job in Job.objects.exclude(state=JobState.DONE)}
    large = {organization for organization, count in counts(company).items() if count > most}
    assert left.keys() - {jobs[0].organization_id} == (large | {jobs[3].organization_id}) - {jobs[0].organization_id}
    assert all(job.fence == 0 for job in left.values() if job.pk != jobs[3].pk)
    assert Job.objects.get(pk=jobs[3].pk).worker == OTHER.name


def test_one_that_is_cancelled_meanwhile_is_not_done(
    waiting: Callable[..., list[Job]], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = waiting()
    claim_all = type(Job.objects.all()).claim_all

    def claim_and_cancel(self: object, *args: object) -> list[Job]:
        held: list[Job] = claim_all(self, *args)  # type: ignore[arg-type]
        Job.objects.filter(pk=jobs[2].pk).ask_to_cancel()
        return held

    monkeypatch.setattr(type(Job.objects.all()), "claim_all", claim_and_cancel)
    run_job(jobs[0].pk)
    assert Job.objects.get(pk=jobs[2].pk).state == JobState.CANCELLED
    assert len(done(jobs)) == len(jobs) - 1
