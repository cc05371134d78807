"""Scheduled jobs, their runs and monitors for programs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone
from ninja import Field, Path, Query, Schema

from monitoring.schedules.access import CHANGE, RUN, VIEW
from monitoring.schedules.forms import RunFilter
from monitoring.schedules.models import Action, Monitor, Ping, Run, RunState, ScheduledJob, Trigger
from monitoring.schedules.operations import monitors as monitor_operations
from monitoring.schedules.operations import settling
from monitoring.schedules.operations.asking import run_now
from monitoring.schedules.operations.defining import switch
from monitoring.schedules.pings import PingKind, Status
from monitoring.schedules.views.common import job_or_404, missed_runs
from opsconsole.api.filters import filled
from opsconsole.api.paging import Page, PagingQuery, page
from opsconsole.api.routes import Number, Reason, Routes, actor_of

jobs = Routes("Scheduled jobs", "scheduled-jobs")
runs = Routes("Scheduled jobs", "scheduled-runs")
monitors = Routes("Monitors", "monitors")

Name = Annotated[str, Path(min_length=1, max_length=60, example="nightly-check")]


class ScheduledJobOut(Schema):
    """A scheduled job. Exactly one of `cron` and `interval_seconds` is given."""

    name: str
    description: str
    origin: str
    owner: str
    enabled: bool
    disabled_reason: str
    action: Action
    operation: str
    cron: str
    zone: str
    interval_seconds: float | None
    critical: bool
    catch_up: str
    grace_seconds: float
    time_limit_seconds: float
    overlap: str
    after: list[str]
    next_due: datetime | None

    @staticmethod
    def resolve_interval_seconds(job: ScheduledJob) -> float | None:
        return None if job.interval is None else job.interval.total_seconds()

    @staticmethod
    def resolve_grace_seconds(job: ScheduledJob) -> float:
        return _seconds(job.grace)

    @staticmethod
    def resolve_time_limit_seconds(job: ScheduledJob) -> float:
        return _seconds(job.time_limit)


def _seconds(length: timedelta) -> float:
    return length.total_seconds()


class RunOut(Schema):
    """What became of one due time, or of `count` of them from `due_at` to `due_until` that did not run."""

    number: int = Field(alias="id")
    job: str
    due_at: datetime
    due_until: datetime | None
    count: int
    trigger: Trigger
    state: RunState
    cause: str
    requested_by: str
    reason: str
    trace_id: str
    attempt: int
    worker: str
    retry_at: datetime | None = Field(alias="not_before")
    started_at: datetime | None
    ended_at: datetime | None
    seconds: float | None
    result: str
    error: str

    @staticmethod
    def resolve_job(run: Run) -> str:
        return run.scheduled_job.name

    @staticmethod
    def resolve_trace_id(run: Run) -> str:
        return str(run.trace_id)


class RunEventOut(Schema):
    at: datetime
    attempt: int
    problem: bool
    message: str


class RunFilters(Schema):
    state: RunState | None = None
    trigger: Trigger | None = None


class RunNow(Reason):
    """`following`: what waits for this job runs after it, in order."""

    following: bool = False


class Started(Schema):
    """The runs that were asked for, the job's own first."""

    runs: list[RunOut]


class MonitorOut(Schema):
    """A monitor, and how it stands: it is expected by `deadline` at the latest."""

    number: int = Field(alias="id")
    name: str
    description: str
    owner: str
    status: Status
    started: bool = Field(description="A run of it is under way.")
    cron: str
    zone: str
    period_seconds: float | None
    grace_seconds: float
    last_ping: datetime | None
    deadline: datetime | None
    failures: int
    trouble: str
    trouble_since: datetime | None

    @staticmethod
    def resolve_status(monitor: Monitor) -> Status:
        return monitor.status_at(timezone.now())

    @staticmethod
    def resolve_period_seconds(monitor: Monitor) -> float | None:
        return None if monitor.period is None else monitor.period.total_seconds()

    @staticmethod
    def resolve_grace_seconds(monitor: Monitor) -> float:
        return _seconds(monitor.grace)


class PingOut(Schema):
    """One ping as it came; `text` is its body."""

    at: datetime
    kind: PingKind
    exit_status: int | None
    method: str
    agent: str
    text: str
    seconds: float | None


@jobs.read("", VIEW, Page[ScheduledJobOut], summary="List scheduled jobs by name")
def list_scheduled_jobs(request: HttpRequest, paging: PagingQuery) -> Any:
    return page(ScheduledJob.objects.all(), ("name",), paging)


@jobs.read("{name}", VIEW, ScheduledJobOut, summary="One scheduled job")
def get_scheduled_job(request: HttpRequest, name: Name) -> Any:
    return job_or_404(name)


@jobs.read("{name}/runs", VIEW, Page[RunOut], summary="The runs of a scheduled job, newest first")
def list_runs_of_job(
    request: HttpRequest, name: Name, paging: PagingQuery, filters: Annotated[RunFilters, Query()]
) -> Any:
    rows = Run.objects.filter(scheduled_job=job_or_404(name)).select_related("scheduled_job")
    return page(filled(RunFilter, filters).narrow(rows), ("-id",), paging)


@jobs.act("{name}/runs", RUN, Started, status=201, summary="Run a scheduled job now")
def run_scheduled_job(request: HttpRequest, name: Name, body: RunNow) -> Any:
    asked = run_now(
        job_or_404(name), actor_of(request), trigger=Trigger.API, following=body.following, reason=body.reason
    )
    return {"runs": asked.runs}


@jobs.act("{name}/enable", CHANGE, ScheduledJobOut, summary="The clock starts it again; what fell due does not come")
def enable_scheduled_job(request: HttpRequest, name: Name, body: Reason) -> Any:
    switch(job_or_404(name), True, actor_of(request), body.reason, timezone.now())
    return job_or_404(name)


@jobs.act("{name}/disable", CHANGE, ScheduledJobOut, summary="The clock starts it no more")
def disable_scheduled_job(request: HttpRequest, name: Name, body: Reason) -> Any:
    switch(job_or_404(name), False, actor_of(request), body.reason, timezone.now())
    return job_or_404(name)


@runs.read("missed", VIEW, Page[RunOut], summary="Missed runs that nobody has settled, newest first")
def list_missed_runs(request: HttpRequest, paging: PagingQuery) -> Any:
    return page(missed_runs(), ("-id",), paging)


@runs.read("{number}", VIEW, RunOut, summary="One run")
def get_run(request: HttpRequest, number: Number) -> Any:
    return _run(number)


def _run(number: int) -> Run:
    return get_object_or_404(Run.objects.select_related("scheduled_job"), pk=number)


@runs.read("{number}/events", VIEW, Page[RunEventOut], summary="The log of a run, oldest first")
def list_run_events(request: HttpRequest, number: Number, paging: PagingQuery) -> Any:
    return page(_run(number).events.all(), ("id",), paging)


@runs.act("{number}/run", RUN, RunOut, status=201, summary="Run a missed job once for what was missed")
def run_missed_run(request: HttpRequest, number: Number) -> Any:
    return settling.run_missed(_run(number), actor_of(request))


@runs.act("{number}/ignore", RUN, RunOut, summary="Say of a missed run that nothing is to be done")
def ignore_missed_run(request: HttpRequest, number: Number, body: Reason) -> Any:
    settling.ignore_missed(_run(number), actor_of(request), body.reason)
    return _run(number)


@monitors.read("", VIEW, Page[MonitorOut], summary="List monitors by name")
def list_monitors(request: HttpRequest, paging: PagingQuery) -> Any:
    return page(Monitor.objects.all(), ("name", "id"), paging)


@monitors.read("{number}", VIEW, MonitorOut, summary="One monitor")
def get_monitor(request: HttpRequest, number: Number) -> Any:
    return _monitor(number)


def _monitor(number: int) -> Monitor:
    return get_object_or_404(Monitor, pk=number)


@monitors.read("{number}/pings", VIEW, Page[PingOut], summary="The pings of a monitor, newest first")
def list_pings(request: HttpRequest, number: Number, paging: PagingQuery) -> Any:
    return page(Ping.objects.filter(monitor=_monitor(number)), ("-id",), paging)


@monitors.act("{number}/pause", CHANGE, MonitorOut, summary="Nothing is expected of a monitor until its next ping")
def pause_monitor(request: HttpRequest, number: Number, body: Reason) -> Any:
    monitor_operations.pause(_monitor(number), actor_of(request), body.reason)
    return _monitor(number)


@monitors.act("{number}/resume", CHANGE, MonitorOut, summary="A monitor is new again, and expected after its next ping")
def resume_monitor(request: HttpRequest, number: Number, body: Reason) -> Any:
    monitor_operations.resume(_monitor(number), actor_of(request), body.reason)
    return _monitor(number)
