"""From one batch to another: retry, run what is missing, clone, report again; two runs side by side; CSV."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from opsconsole import estate
from opsconsole.csvfile import csv_lines
from opsconsole.errors import UsageError
from sync.batch_sums import BatchSummary, summaries, summed
from sync.models import Batch, BatchPlan, BatchRelation, BatchState, JobState, Mode, StagedOrganization
from sync.operations import batches
from sync.operations.batches import BatchOptions, contents_of
from sync.operations.jobs import retry
from tests.sync.batches import PERSON, acts, in_state, organizations_of, reload, run, run_all, stage, start, states
from tests.sync.jobs import make_job

pytest_plugins = ["tests.fixtures_sync"]

SYNC = BatchOptions(mode=Mode.SYNC, size=6, name="first", most_at_once=2, canary=1)
DONE, QUEUED, HELD, FAILED = JobState.DONE, JobState.QUEUED, JobState.PLANNED, JobState.FAILED


@pytest.fixture
def ended(db: None, queue: object) -> Batch:
    """Six jobs: failed, looping, cancelled, and three done of which the last has unresolved tasks."""
    stage(6)
    batch = start(replace(SYNC, canary=0, most_at_once=None))
    jobs = in_state(batch, QUEUED)
    for job, state in zip(jobs, (FAILED, JobState.LOOPING, JobState.CANCELLED, DONE, DONE, DONE), strict=True):
        run(job, state)
    batch.jobs.filter(pk=jobs[-1].pk).update(unresolved=2)
    Batch.objects.filter(pk=batch.pk).update(most_at_once=2)
    return reload(batch)


def begin(plan: BatchPlan) -> Batch:
    return batches.start_plan(plan.pk, plan.hash, PERSON)


class TestRetry:
    def test_runs_what_did_not_succeed_at_the_pace_of_the_batch(self, ended: Batch) -> None:
        assert ended.state == BatchState.DONE
        result = batches.retry_failed(ended, PERSON, "index is back")
        assert (result.retried, result.left_out) == (3, 0)
        assert (reload(ended).state, reload(ended).ended_at) == (BatchState.RUNNING, None)
        assert states(ended) == [QUEUED, QUEUED, HELD, DONE, DONE, DONE]
        run_all(ended)
        assert (set(states(ended)), reload(ended).state) == ({DONE}, BatchState.DONE)
        assert acts(ended)[-1] == "batch.retried"
        with pytest.raises(UsageError, match="nothing to retry"):
            batches.retry_failed(ended, PERSON)

    def test_leaves_out_what_is_active_elsewhere(self, ended: Batch) -> None:
        first = organizations_of(ended)[0]
        make_job(organization_id=first)
        assert batches.retry_failed(ended, PERSON).left_out == 1
        assert states(ended)[0] == FAILED

    def test_in_a_paused_batch_waits_for_the_resume(self, ended: Batch) -> None:
        Batch.objects.filter(pk=ended.pk).update(state=BatchState.PAUSED)
        batches.retry_failed(ended, PERSON)
        assert states(ended)[:3] == [HELD] * 3
        assert batches.resume(ended, PERSON) == 2

    def test_not_while_it_is_being_cancelled(self, ended: Batch) -> None:
        Batch.objects.filter(pk=ended.pk).update(state=BatchState.CANCELLING)
        with pytest.raises(UsageError, match="only one that is"):
            batches.retry_failed(ended, PERSON)

    def test_one_job_retried_reopens_the_batch(self, ended: Batch) -> None:
        retry(ended.jobs.order_by("pk")[0], PERSON)
        assert reload(ended).state == BatchState.RUNNING
        run_all(ended)
        assert reload(ended).state == BatchState.DONE

    def test_what_it_came_to_is_kept_until_it_runs_again(self, ended: Batch) -> None:
        found = BatchSummary(jobs=6, ended=6, problems=2)
        assert summaries([ended]) == {ended.pk: found}
        with CaptureQueriesContext(connection) as queries:
            summaries([ended])
        assert len(queries) == 0
        retry(ended.jobs.order_by("pk")[0], PERSON)
        assert summaries([reload(ended)]) == {ended.pk: replace(found, ended=5, problems=1, unresolved=2)}
        ended.jobs.filter(state=JobState.QUEUED).update(stale=2, missing=1, published=3, verified=2, unresolved=1)
        run_all(ended)
        again = replace(found, problems=1, drift=3, published=3, verified=2, unresolved=3)
        assert summaries([reload(ended)]) == summed([ended.pk]) == {ended.pk: again}


class TestAgain:
    def test_what_is_missing_runs_in_a_new_batch(self, ended: Batch) -> None:
        ids = organizations_of(ended)
        batch = begin(batches.run_missing(ended, PERSON))
        assert organizations_of(batch) == [*ids[:3], ids[5]]
        assert (batch.previous, batch.relation, batch.mode) == (ended, BatchRelation.MISSING, Mode.SYNC)
        assert states(batch) == [QUEUED, QUEUED, HELD, HELD]
        assert batch.jobs.order_by("pk")[0].organization_name == "Organization 0"

    def test_nothing_missing_is_said(self, ended: Batch) -> None:
        ended.jobs.update(state=DONE, unresolved=0)
        with pytest.raises(UsageError, match="Nothing is missing"):
            batches.run_missing(ended, PERSON)

    def test_a_clone_has_the_same_organizations_and_options(self, ended: Batch) -> None:
        Batch.objects.filter(pk=ended.pk).update(canary=2, stop_after_failures=4, auto_advance=True)
        batch = begin(batches.clone(reload(ended), PERSON))
        assert organizations_of(batch) == organizations_of(ended)
        assert (batch.name, batch.most_at_once, batch.canary, batch.stop_after_failures) == ("first", 2, 2, 4)
        assert (batch.relation, batch.auto_advance) == (BatchRelation.CLONED, False)

    def test_what_is_active_elsewhere_is_left_out_and_said(self, ended: Batch) -> None:
        ids = organizations_of(ended)
        make_job(organization_id=ids[2])
        plan = batches.clone(ended, PERSON)
        assert contents_of(plan).active == (ids[2],)
        assert plan.organizations == [*ids[:2], *ids[3:]]
        begin(batches.report_again(ended, PERSON))
        with pytest.raises(UsageError, match="6 have an active job"):
            batches.clone(ended, PERSON)

    def test_a_report_again_leaves_the_staged_set_alone(self, ended: Batch) -> None:
        StagedOrganization.objects.create(organization_id=organizations_of(ended)[0], staged_by="x")
        batch = begin(batches.report_again(ended, PERSON))
        assert (batch.mode, batch.relation) == (Mode.REPORT, BatchRelation.REPORTED)
        assert StagedOrganization.objects.filter(reported_in=None).count() == 1


class TestResults:
    def test_two_runs_side_by_side_page_by_page(self, ended: Batch) -> None:
        ended.jobs.update(stale=3, started_at=timezone.now() - timedelta(seconds=9), ended_at=timezone.now())
        other = begin(batches.run_missing(ended, PERSON))
        other.jobs.update(stale=1)
        rows = batches.compare_batches(ended, other, limit=4)
        rows += batches.compare_batches(ended, other, after=rows[-1].organization_id, limit=4)
        assert [row.organization_id for row in rows] == sorted(organizations_of(ended))
        assert sorted(str(row.drift_change) for row in rows) == ["-2"] * 4 + ["None"] * 2
        assert all(row.first and row.first.duration for row in rows)
        assert batches.compare_batches(ended, other, after=rows[-1].organization_id) == []

    def test_a_row_for_each_job_that_no_spreadsheet_takes_for_a_formula(self, ended: Batch) -> None:
        ended.jobs.update(organization_name="=HYPERLINK()", error="+1", scanned=12)
        lines = "".join(csv_lines(batches.CSV_HEADER, batches.batch_csv_rows(ended))).splitlines()
        assert len(lines) == 7
        assert lines[0].startswith("organization,name,job,state,scanned")
        prefix = estate.current().source.id_prefix
        first = ended.jobs.order_by("pk")[0]
        assert lines[1] == f"{prefix}{first.organization_id},'=HYPERLINK(),{first.pk},failed,12,0,0,0,0,0,0,0,'+1"
