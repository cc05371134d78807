"""Deleting: only what has ended goes, whoever asks, and the audit log keeps what it was."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from opsconsole.audit import Actor, Door
from opsconsole.errors import UsageError
from opsconsole.models import AuditEntry
from sync.models import Attempt, Drift, Job, JobEvent, JobState, StopStep
from sync.models.states import ACTIVE_STATES
from sync.operations import deleting
from sync.operations.deleting import delete_jobs, purge_finished
from sync.operations.ladder import Target
from tests.sync.jobs import make_job
from tests.web.sync_rows import make_full_job

pytestmark = pytest.mark.django_db
ADA = Actor("ada", Door.PAGE)


@pytest.mark.parametrize("state", ACTIVE_STATES)
def test_what_has_not_ended_is_refused(state: JobState) -> None:
    job = make_job(state=state)
    with pytest.raises(UsageError, match="only a job that has ended can be deleted"):
        delete_jobs([Target(job.pk)], ADA, "x")
    assert Job.objects.filter(pk=job.pk).exists()
    assert not AuditEntry.objects.exists()


def test_what_has_ended_goes_with_all_that_is_its_own() -> None:
    job, other = make_full_job(state=JobState.FAILED), make_full_job(state=JobState.FAILED)
    StopStep.objects.create(job=job, attempt=1, step="cancel", requested_by="ada")
    assert delete_jobs([Target(job.pk)], ADA, "a trial").sentence() == "1 job deleted."
    for model in (Attempt, Drift, JobEvent, StopStep):
        assert set(model.objects.values_list("job_id", flat=True)) <= {other.pk}
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.subject, entry.reason) == ("job.deleted", f"job:{job.pk}", "a trial")
    assert entry.details["jobs"] == [[job.pk, job.organization_id, "failed"]]


def test_of_many_those_that_have_ended_go() -> None:
    jobs = [make_job(state=state) for state in JobState]
    result = delete_jobs([Target(job.pk, job.fence) for job in jobs], ADA, "x")
    assert (result.deleted, result.left_out) == (4, 6)
    assert set(Job.objects.values_list("state", flat=True)) == {state.value for state in ACTIVE_STATES}
    with pytest.raises(UsageError, match="None of these jobs has ended"):
        delete_jobs([Target(job.pk) for job in jobs], ADA, "x")


def test_a_job_that_ran_again_since_it_was_seen_is_left() -> None:
    job, other = make_job(state=JobState.FAILED, fence=4), make_job(state=JobState.FAILED)
    result = delete_jobs([Target(job.pk, 3), Target(other.pk, 0)], ADA, "x")
    assert (result.deleted, result.left_out, Job.objects.get()) == (1, 1, job)


def test_purging_takes_what_is_old_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deleting, "MOST", 2)
    old = timezone.now() - timedelta(days=40)
    for _ in range(3):
        make_job(state=JobState.DONE, ended_at=old)
    young = make_job(state=JobState.DONE, ended_at=timezone.now() - timedelta(days=20))
    running = make_job(state=JobState.RUNNING, created_at=old)
    first = purge_finished(timedelta(days=30), ADA, "yearly")
    assert (first.deleted, first.more) == (2, True)
    assert "there are more: at most 2 go at once" in first.sentence()
    assert purge_finished(timedelta(days=30), ADA, "yearly").deleted == 1
    assert set(Job.objects.all()) == {young, running}
    assert purge_finished(timedelta(days=30), ADA, "yearly").deleted == 0
    assert AuditEntry.objects.filter(action="jobs.purged", details__older_than_days=30).count() == 2


def test_what_ended_today_is_not_purged() -> None:
    with pytest.raises(UsageError, match="Only what ended a day ago"):
        purge_finished(timedelta(hours=1), ADA, "x")
