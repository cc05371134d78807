"""Jobs: the list, one of them, its log and its drift, ending it, running it again, skipping its organization, deleting
it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, ModelSchema, Query, Schema

from opsconsole.access import Scoping
from opsconsole.api.filters import filled
from opsconsole.api.paging import Page, PagingQuery, page
from opsconsole.api.routes import Number, Reason, Routes, Ticket, Why, actor_of
from sync.access import CANCEL, DELETE, RUN, SKIP, VIEW
from sync.engine.rows import DriftKind
from sync.job_form import DriftFilter, JobFilter
from sync.models import Job, JobEvent, JobKind, JobState, Mode, SkipReason, Step, Verification
from sync.operations import jobs as operations
from sync.operations.deleting import delete_jobs
from sync.operations.ladder import Target, climb
from sync.operations.skipping import skip_job
from sync.reading import drift_of, listed_jobs, whole_jobs

routes = Routes("Jobs", "jobs", scoping=Scoping.NARROWED)

NEWEST_FIRST = ("-id",)


class JobOut(Schema):
    """A job as the list has it. Times are UTC; counts are tasks."""

    number: int = Field(alias="id", examples=[12])
    kind: JobKind
    mode: Mode
    state: JobState
    organization: str = Field(alias="organization_id", examples=["7f9c24e8-3b12-4fef-91d0-9e0c5a1c2b6d"])
    organization_name: str
    batch: int | None = Field(alias="batch_id")
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    retry_at: datetime | None = Field(alias="not_before")
    expected: int | None
    scanned: int
    stale: int
    missing: int
    orphan: int
    published: int
    verified: int
    unresolved: int
    held_up: str = Field(description="Why nothing is published just now; empty where nothing holds it up.")
    worker: str
    error_type: str


class JobDetail(JobOut):
    """A job with all that its page tells."""

    phase: str
    created_by: str
    trace_id: str
    attempt: int = Field(alias="fence", description="The number of its latest attempt; 0 before the first.")
    checkpoint: str | None
    heartbeat_at: datetime | None
    window_from: datetime | None
    window_to: datetime | None
    unsettled: int
    set_aside: int
    failures: int
    error: str

    @staticmethod
    def resolve_trace_id(job: Job) -> str:
        return str(job.trace_id)


class JobFilters(Schema):
    """What the list is narrowed to. `state` also takes `active` and `dead`."""

    organization: str | None = Field(None, max_length=300)
    state: str | None = Field(None, max_length=20, examples=["active"])
    kind: JobKind | None = None
    batch: int | None = Field(None, ge=1)
    mode: Mode | None = None
    worker: str | None = Field(None, max_length=200)
    error: str | None = Field(None, max_length=16, description="A fingerprint of 16 hexadecimal digits.")
    created_from: str | None = Field(None, max_length=40, serialization_alias="from", examples=["2026-11-20 02:00:00"])
    created_before: str | None = Field(None, max_length=40, serialization_alias="to")


class EventOut(ModelSchema):
    """One line of a job's log; `attempt` is 0 for what the console itself writes."""

    class Meta:
        model = JobEvent
        fields = ("at", "attempt", "level", "message")


class DriftOut(Schema):
    """One task that was out of sync. `source` and `index` have the compared values of each side."""

    task: str = Field(alias="task_id")
    kind: DriftKind
    fields: list[str]
    source: dict[str, Any] | None
    index: dict[str, Any] | None
    source_version: int | None
    index_version: int | None
    source_updated_at: datetime | None
    found_at: datetime
    partition: int | None
    offset: int | None
    published_at: datetime | None
    verification: Verification = Field(alias="status")


class DriftFilters(Schema):
    task: str | None = Field(None, max_length=300)
    kind: DriftKind | None = None
    verification: Verification | None = None


class End(Reason):
    """`attempt` is the one that was meant; a later one is left alone."""

    attempt: int | None = Field(None, ge=0)


class SkipJob(Schema):
    """Why the organization is left out from now on."""

    why: SkipReason = SkipReason.OTHER
    ticket: Ticket = ""
    note: Why = Field(examples=["Its tasks make every worker run out of memory; to be synced by window."])

    model_config = {"extra": "forbid"}


class SkippedJob(Schema):
    """`added` and `already`: whether the organization came on the list; `cancelled` and `asked`: what became of the
    job."""

    added: int
    already: int
    cancelled: int
    asked: int


class DeletedJob(Schema):
    """How many jobs are deleted."""

    deleted: int


def _job(number: int) -> Job:
    return get_object_or_404(whole_jobs(), pk=number)


@routes.read("", VIEW, Page[JobOut], summary="List jobs, newest first")
def list_jobs(request: HttpRequest, paging: PagingQuery, filters: Annotated[JobFilters, Query()]) -> Any:
    return page(filled(JobFilter, filters).narrow(listed_jobs()), NEWEST_FIRST, paging)


@routes.read("{number}", VIEW, JobDetail, summary="One job")
def get_job(request: HttpRequest, number: Number) -> Any:
    return _job(number)


@routes.read("{number}/events", VIEW, Page[EventOut], summary="The log of a job, oldest first")
def list_events(request: HttpRequest, number: Number, paging: PagingQuery) -> Any:
    return page(_job(number).events.all(), ("id",), paging)


@routes.read("{number}/drift", VIEW, Page[DriftOut], summary="What a job found out of sync, newest first")
def list_drift(
    request: HttpRequest, number: Number, paging: PagingQuery, filters: Annotated[DriftFilters, Query()]
) -> Any:
    rows = filled(DriftFilter, filters).narrow(drift_of(_job(number)))
    return page(rows, NEWEST_FIRST, paging)


@routes.act("{number}/cancel", CANCEL, JobDetail, summary="Cancel a job: at once, or at its next chunk")
def cancel_job(request: HttpRequest, number: Number, body: End) -> Any:
    return _end(request, number, Step.CANCEL, body)


@routes.act("{number}/stop", CANCEL, JobDetail, commits_itself=True, summary="Interrupt a job, wherever it runs")
def stop_job(request: HttpRequest, number: Number, body: End) -> Any:
    return _end(request, number, Step.STOP, body)


@routes.act("{number}/kill", CANCEL, JobDetail, commits_itself=True, summary="Kill the process of a job")
def kill_job(request: HttpRequest, number: Number, body: End) -> Any:
    return _end(request, number, Step.KILL, body)


def _end(request: HttpRequest, number: int, step: Step, body: End) -> Job:
    job = _job(number)
    climb(job, step, actor_of(request), body.reason, fence=body.attempt)
    return _job(number)


@routes.act("{number}/retry", RUN, JobDetail, summary="Run a job again from its checkpoint")
def retry_job(request: HttpRequest, number: Number, body: Reason) -> Any:
    operations.retry(_job(number), actor_of(request), body.reason)
    return _job(number)


@routes.act("{number}/skip", SKIP, SkippedJob, summary="Put a job's organization on the skip list, and stop the job")
def skip_organization_of(request: HttpRequest, number: Number, body: SkipJob) -> Any:
    return skip_job(_job(number), body.why, body.note, actor_of(request))


@routes.act("{number}/delete", DELETE, DeletedJob, summary="Delete a job that has ended, with its drift and log")
def delete_job(request: HttpRequest, number: Number, body: Reason) -> Any:
    return delete_jobs([Target(_job(number).pk)], actor_of(request), body.reason)
