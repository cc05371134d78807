"""Retention of jobs and what is theirs: what goes, what stays, killed in the middle; the totals stay what they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import Settings

from opsconsole import retention
from opsconsole.audit import Actor, Door
from opsconsole.models import AuditEntry, PruneCount
from opsconsole.retention import Pruned, prune
from sync import retention as kept_of_sync
from sync.models import (
    Attempt,
    Batch,
    BatchState,
    Drift,
    Job,
    JobEvent,
    JobState,
    Mode,
    QueryRun,
    SkippedOrganization,
    SkipReason,
    StagedOrganization,
)
from sync.operations.tallies import totals
from tests.sync.jobs import claim, make_job
from tests.web.sync_rows import make_batch, make_drift, make_full_job

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.usefixtures("committed")

DAY = timedelta(days=1)
OLD, YOUNG = 400 * DAY, 10 * DAY
ADA = Actor("ada", Door.COMMAND)


@pytest.fixture
def now() -> datetime:
    return timezone.now()


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_of_sync, "ROWS_PER_STEP", 40)
    monkeypatch.setattr(kept_of_sync, "JOBS_PER_STEP", 2)


def pruned(now: datetime, stop: Callable[[], bool] = lambda: False) -> Pruned:
    return prune(ADA, "the house's rule", now, say=lambda _: None, stop=stop)


def aged(job: Job, age: timedelta, now: datetime) -> Job:
    """The job and all that is its own, as if it had ended so long ago."""
    ended = None if job.ended_at is None else now - age
    Job.objects.filter(pk=job.pk).update(created_at=now - age - DAY, ended_at=ended)
    Drift.objects.filter(job=job).update(found_at=now - age)
    JobEvent.objects.filter(job=job).update(at=now - age)
    return job


def ended(now: datetime, age: timedelta, state: JobState = JobState.DONE, **fields: Any) -> Job:
    return aged(make_full_job(state=state, ended_at=now, **fields), age, now)


def aged_batch(now: datetime, age: timedelta = OLD, state: BatchState = BatchState.DONE, **fields: Any) -> Batch:
    batch = make_batch(state=state, ended_at=now - age if state.terminal else None, **fields)
    Batch.objects.filter(pk=batch.pk).update(created_at=now - age - DAY)
    return batch


def test_old_jobs_go_with_all_that_is_their_own_and_young_and_active_ones_stay(
    now: datetime, small_steps: None
) -> None:
    old = [ended(now, OLD, state) for state in (JobState.DONE, JobState.FAILED, JobState.LOOPING, JobState.CANCELLED)]
    young, running = ended(now, YOUNG), aged(make_full_job(state=JobState.RUNNING), OLD, now)
    result = pruned(now)
    assert set(Job.objects.all()) == {young, running}
    for model in (Drift, JobEvent, Attempt):
        assert set(model.objects.values_list("job", flat=True)) == {young.pk, running.pk}
    assert result.whole
    assert result.removed == {
        "jobs": len(old),
        "attempts": 2 * len(old),
        "out-of-sync tasks": 3 * len(old),
        "log lines of jobs": 250 * len(old),
    }


def test_drift_and_logs_go_before_their_jobs_where_nothing_can_go_on_with_them(now: datetime) -> None:
    done, failed = ended(now, 200 * DAY), ended(now, 200 * DAY, JobState.FAILED)
    pruned(now)
    assert set(Job.objects.all()) == {done, failed}
    for model in (Drift, JobEvent):
        assert set(model.objects.values_list("job", flat=True)) == {failed.pk}
    assert Attempt.objects.filter(job=done).count() == 2


def test_what_something_open_points_to_stays(now: datetime) -> None:
    skipped, resolved = ended(now, OLD, JobState.LOOPING), ended(now, OLD, JobState.LOOPING)
    for job, at in ((skipped, None), (resolved, now)):
        SkippedOrganization.objects.create(
            organization_id=job.organization_id, reason=SkipReason.LOOPED, job=job, skipped_by="x", resolved_at=at
        )
    paused, staged = aged_batch(now, state=BatchState.PAUSED), aged_batch(now, mode=Mode.REPORT)
    followed, over = aged_batch(now), aged_batch(now)
    make_batch(previous=followed, relation="advanced", state=BatchState.RUNNING)
    StagedOrganization.objects.create(organization_id="x", staged_by="x", reported_in=staged)
    kept = [ended(now, OLD, batch=batch) for batch in (paused, staged)]
    ended(now, OLD, batch=over)
    pruned(now)
    assert set(Job.objects.all()) == {skipped, *kept}
    assert Drift.objects.filter(job__in=kept).count() == 6
    assert not Batch.objects.filter(pk=over.pk).exists()
    assert Batch.objects.filter(pk__in=[paused.pk, staged.pk, followed.pk]).count() == 3
    assert SkippedOrganization.objects.get(resolved_at=now).job_id is None


def test_a_query_run_goes_after_what_it_found_and_after_what_came_from_it(now: datetime) -> None:
    times = {
        "window_from": now - OLD,
        "window_to": now - OLD,
        "ended_at": now - OLD,
        "started_by": "x",
        "state": "done",
    }
    with_rows = QueryRun.objects.create(**times)
    staged_from, free = (QueryRun.objects.create(**times, rows_dropped_at=now) for _ in range(2))
    QueryRun.objects.update(started_at=now - OLD)
    StagedOrganization.objects.create(organization_id="x", staged_by="x", query_run=staged_from)
    pruned(now)
    assert set(QueryRun.objects.all()) == {with_rows, staged_from}
    assert free not in QueryRun.objects.all()


def test_nothing_is_removed_where_it_is_kept_for_ever(now: datetime, settings: Settings) -> None:
    settings.JOBS_KEPT_DAYS = settings.DRIFT_KEPT_DAYS = settings.JOB_LOGS_KEPT_DAYS = 0
    ended(now, 10 * OLD)
    assert pruned(now).removed == {}
    assert not AuditEntry.objects.exists()


class KilledError(Exception):
    """Stands for the end of the process: nothing after it is done."""


def dying_after(steps: int) -> Callable[[], bool]:
    left = iter(range(steps))

    def stop() -> bool:
        if next(left, None) is None:
            raise KilledError
        return False

    return stop


def test_killed_anywhere_the_next_pass_removes_the_rest_and_the_audit_log_has_the_sum(
    now: datetime, small_steps: None, settings: Settings
) -> None:
    """Drift and logs go with their jobs here, so that a job is met whose parts are partly gone."""
    settings.DRIFT_KEPT_DAYS = settings.JOB_LOGS_KEPT_DAYS = 0
    for _ in range(3):
        ended(now, OLD)
    in_the_middle = 0
    for steps in (5, 9, 14):
        with pytest.raises(KilledError):
            pruned(now, dying_after(steps))
        counted = dict(PruneCount.objects.values_list("what", "rows"))
        assert counted.get("log lines of jobs", 0) == 750 - JobEvent.objects.count()
        in_the_middle += bool(JobEvent.objects.exists())
        assert not AuditEntry.objects.exists()
    assert in_the_middle
    pruned(now)
    assert not Job.objects.exists()
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.subject, entry.reason) == ("rows.pruned", "retention", "the house's rule")
    assert entry.details["removed"] == {
        "jobs": 3,
        "attempts": 6,
        "out-of-sync tasks": 9,
        "log lines of jobs": 750,
    }
    assert entry.details["kept_days"]["JOBS_KEPT_DAYS"] == 365
    assert not PruneCount.objects.exists()


def test_a_step_that_fails_has_removed_and_counted_nothing(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    job = ended(now, OLD)
    monkeypatch.setattr(retention, "COUNT", "SELECT 1 / 0 -- %s %s")
    with pytest.raises(Exception, match="division by zero"):
        pruned(now)
    assert (Drift.objects.filter(job=job).count(), PruneCount.objects.count()) == (3, 0)


def test_what_is_to_stop_stops_and_says_so(now: datetime, small_steps: None) -> None:
    ended(now, OLD)
    answers: Iterator[bool] = iter([False] * 5 + [True] * 100)
    result = pruned(now, lambda: next(answers))
    assert not result.whole
    assert Job.objects.exists()
    assert AuditEntry.objects.get().details["removed"] == dict(result.removed)


def test_a_job_that_somebody_has_locked_is_left_for_the_next_pass(now: datetime) -> None:
    job = ended(now, OLD)

    def in_a_thread() -> None:
        try:
            pruned(now)
        finally:
            connection.close()

    with transaction.atomic(), ThreadPoolExecutor(1) as pool:
        Job.objects.select_for_update().get(pk=job.pk)
        pool.submit(in_a_thread).result(timeout=30)
        assert Attempt.objects.filter(job=job).count() == 2
    pruned(now)
    assert not Job.objects.exists()


def test_the_totals_of_all_jobs_stay_what_they_were(now: datetime) -> None:
    job, _ = claim(make_job())
    Job.objects.filter(pk=job.pk).update(scanned=150, stale=3)
    make_drift(job)
    Job.objects.filter(pk=job.pk).update(state=JobState.DONE, ended_at=now)
    aged(Job.objects.get(pk=job.pk), OLD, now)
    before = totals()
    assert before["scanned"] >= 150
    pruned(now)
    assert not Job.objects.exists()
    assert totals() == before
