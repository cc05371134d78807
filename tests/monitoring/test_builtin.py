"""The console's own operations, run as a schedule runs them, against a real company."""

from __future__ import annotations

import pytest

from monitoring.schedules.actions import operations
from monitoring.schedules.jobs import run_scheduled
from monitoring.schedules.models import Run, RunEvent, RunState
from monitoring.schedules.operations.firing import fire_due
from sync.models import Job, JobState
from tests.company import Company
from tests.monitoring.scheduled import NOW, make_scheduled_job

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.usefixtures("committed", "queue", "use_estate")


def run_of(operation: str, **parameters: object) -> Run:
    """One due run of it, performed here."""
    make_scheduled_job("it", operation=operation, parameters=parameters, critical=True)
    fire_due(NOW)
    run = Run.objects.get()
    run_scheduled(run.pk)
    run.refresh_from_db()
    return run


def log_of(run: Run) -> str:
    return "\n".join(RunEvent.objects.filter(run=run).order_by("pk").values_list("message", flat=True))


def test_each_is_documented_with_its_parameters() -> None:
    names = {one.name for one in operations()}
    assert {"check_organizations", "record_snapshot", "check_estate"} <= names


def test_organizations_are_checked_one_after_the_other(company: Company) -> None:
    ids = [str(one) for one in company.organizations()[:2]]
    run = run_of("check_organizations", organizations=ids)
    assert run.state == RunState.DONE, run.error
    assert run.result.startswith("2 organizations checked, ")
    jobs = list(Job.objects.order_by("pk"))
    assert [(job.organization_id, job.state, job.mode) for job in jobs] == [(one, "done", "report") for one in ids]
    assert all(f"Job {job.pk}: " in log_of(run) for job in jobs)


def test_a_run_that_is_started_again_does_not_check_twice(company: Company) -> None:
    (organization,) = company.organizations()[:1]
    run = run_of("check_organizations", organizations=[str(organization)])
    Run.objects.filter(pk=run.pk).update(state=RunState.QUEUED)
    run_scheduled(run.pk)
    assert Job.objects.count() == 1


def test_an_organization_that_another_job_has_is_tried_again_later(company: Company) -> None:
    (organization,) = company.organizations()[:1]
    Job.objects.create(
        organization_id=str(organization), created_by="ann", trace_id="0747fedb-2f8e-4530-8148-d3451487020b"
    )
    run = run_of("check_organizations", organizations=[str(organization)])
    assert run.state == RunState.RETRYING
    assert Job.objects.get().state == JobState.QUEUED


def test_the_estate_is_checked() -> None:
    run = run_of("check_estate")
    assert "ok: source" in log_of(run)
    assert run.state in (RunState.DONE, RunState.RETRYING)
