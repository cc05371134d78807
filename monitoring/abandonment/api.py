"""Tracked tasks for programs: to read, with their policies, to keep, and for systems to report their own."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone
from ninja import Field, Query, Schema
from pydantic import AwareDatetime, BeforeValidator

from monitoring.abandonment.access import KEEP, REPORT, VIEW
from monitoring.abandonment.facts import Facts
from monitoring.abandonment.models import Policy, TaskState, TrackedTask
from monitoring.abandonment.operations import wishes
from monitoring.abandonment.operations.reporting import MOST, report, reporting_source
from monitoring.abandonment.rules import Stage
from monitoring.abandonment.source import LONGEST_ERROR, SeenTask, is_healthy, link_of
from monitoring.abandonment.words import next_of
from opsconsole.api.paging import Page, PagingQuery, page
from opsconsole.api.routes import Number, Reason, Routes, actor_of

routes = Routes("Tracked tasks", "tracked-tasks")
reports = Routes("Tracked tasks", "tracked-task-reports")
policies = Routes("Tracked tasks", "tracked-task-policies")

LARGEST_COUNTER = 2**62
Seconds = Annotated[float, BeforeValidator(timedelta.total_seconds)]
StageName = Annotated[str, BeforeValidator(lambda stage: Stage(stage).name.lower())]


class TrackedTaskOut(Schema):
    """A tracked task, and how it stands. `next` says what happens next; `disable_at` is promised to its owner."""

    number: int = Field(alias="id")
    source: str
    key: str
    title: str
    kind: str
    scope: str
    owner: str
    state: TaskState
    enabled: bool
    protected: bool
    failing_since: datetime | None
    restarted: int
    last_healthy_at: datetime | None
    last_data_at: datetime | None
    changed_at: datetime | None
    last_error: str
    warned_at: datetime | None = Field(alias="notice_delivered_at")
    disable_at: datetime | None
    keep_until: datetime | None
    exempt: bool
    next: str

    @staticmethod
    def resolve_next(task: TrackedTask) -> str:
        return next_of(task)


class TrackedTaskFilters(Schema):
    state: TaskState | None = None
    source: str | None = Field(None, max_length=60)
    scope: str | None = Field(None, max_length=200)
    kind: str | None = Field(None, max_length=200)
    owner: str | None = Field(None, max_length=320)


class KeepUntil(Reason):
    """Nobody is warned and it is not disabled before `until`, within a year."""

    until: AwareDatetime

    model_config = {
        "extra": "forbid",
        "json_schema_extra": {"example": {"until": "2027-01-01T00:00:00Z", "reason": "They migrate; OPS-123."}},
    }


class PolicyOut(Schema):
    """What is done about tasks whose scope and kind fit: exact, by a beginning (`eu-*`), or any (`*`). The narrowest
    policy holds. A stage is `detect`, `notify` or `disable`; reminders are hours before the disabling."""

    number: int = Field(alias="id")
    scope: str
    kind: str
    failing_stage: StageName
    idle_stage: StageName
    failing_after_seconds: Seconds = Field(alias="failing_after")
    idle_after_seconds: Seconds = Field(alias="idle_after")
    watch_after_seconds: Seconds = Field(alias="watch_after")
    notice_seconds: Seconds = Field(alias="notice")
    recency_seconds: Seconds = Field(alias="recency")
    lasting_seconds: Seconds = Field(alias="lasting")
    reminders: list[float]
    changed_at: datetime
    changed_by: str


class ReportedTask(Schema):
    """One task as its system says it is now. What is left out is not known. Counters only rise, or begin anew.

    `changed_at` is the last change by a person. Without `healthy` it is told from `last_healthy_at`.
    """

    key: str = Field(min_length=1, max_length=200)
    title: str = Field("", max_length=200)
    kind: str = Field("", max_length=200)
    scope: str = Field("", max_length=200)
    owner: str = Field("", max_length=320)
    enabled: bool = True
    has_shards: bool = True
    protected: bool = False
    healthy: bool | None = None
    created_at: AwareDatetime | None = None
    last_healthy_at: AwareDatetime | None = None
    last_data_at: AwareDatetime | None = None
    changed_at: AwareDatetime | None = None
    failures: int = Field(0, ge=0, le=LARGEST_COUNTER)
    restarts: int = Field(0, ge=0, le=LARGEST_COUNTER)
    last_error: str = Field("", max_length=20_000)

    model_config = {"extra": "forbid"}


class Report(Schema):
    """At most 1,000 tasks, with those that are gone. Report each task at least every three intervals of the source."""

    source: str = Field(min_length=1, max_length=60, examples=["edge"])
    tasks: list[ReportedTask] = Field(default_factory=list, max_length=MOST)
    gone: list[str] = Field(default_factory=list, max_length=MOST)

    model_config = {"extra": "forbid"}


class Reported(Schema):
    """How many tasks were taken over, and how many of `gone` were known."""

    tasks: int
    gone: int


@routes.read("", VIEW, Page[TrackedTaskOut], summary="Tracked tasks, newest first")
def list_tasks(request: HttpRequest, paging: PagingQuery, filters: Annotated[TrackedTaskFilters, Query()]) -> Any:
    rows = TrackedTask.objects.filter(**filters.model_dump(exclude_none=True))
    return page(rows, ("-id",), paging)


@routes.read("{number}", VIEW, TrackedTaskOut, summary="One tracked task")
def get_task(request: HttpRequest, number: Number) -> Any:
    return get_object_or_404(TrackedTask, pk=number)


@routes.act("{number}/keep", KEEP, TrackedTaskOut, summary="Keep a task until a date")
def keep_task(request: HttpRequest, number: Number, body: KeepUntil) -> Any:
    task = get_object_or_404(TrackedTask, pk=number)
    wishes.keep(task, body.until, actor_of(request), body.reason, timezone.now())
    return TrackedTask.objects.get(pk=number)


@policies.read("", VIEW, Page[PolicyOut], summary="Policies of tracked tasks, newest first")
def list_policies(request: HttpRequest, paging: PagingQuery) -> Any:
    return page(Policy.objects.all(), ("-id",), paging)


@reports.act("", REPORT, Reported, summary="Report the tasks of a system")
def report_tasks(request: HttpRequest, body: Report) -> Any:
    now = timezone.now()
    source = reporting_source(body.source)
    seen = [_seen(one, link_of(source, one.key), is_healthy(source, one.last_healthy_at, now)) for one in body.tasks]
    return report(body.source, seen, body.gone, actor_of(request), now)


def _seen(one: ReportedTask, link: str, healthy_by_time: bool) -> SeenTask:
    return SeenTask(
        key=one.key,
        facts=Facts(
            enabled=one.enabled,
            has_shards=one.has_shards,
            healthy=healthy_by_time if one.healthy is None else one.healthy,
            created_at=one.created_at,
            last_healthy_at=one.last_healthy_at,
            last_data_at=one.last_data_at,
            data_known=one.last_data_at is not None,
            failures=one.failures,
            restarts=one.restarts,
            changed_at=one.changed_at,
            owner=one.owner.strip(),
            protected=one.protected,
        ),
        title=one.title,
        kind=one.kind,
        scope=one.scope,
        last_error=one.last_error[:LONGEST_ERROR],
        link=link,
    )
