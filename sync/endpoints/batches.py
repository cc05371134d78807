"""Batches: plans, starting exactly what a plan shows, and what is done to a batch under way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Query, Schema

from opsconsole.access import Scoping
from opsconsole.api.filters import filled
from opsconsole.api.paging import Page, PagingQuery, page
from opsconsole.api.problems import ProblemError
from opsconsole.api.routes import LARGEST_NUMBER, Number, Reason, Routes, Ticket, Why, actor_of
from opsconsole.audit import Actor
from sync.access import CANCEL, RUN, VIEW
from sync.endpoints.common import Between, Body
from sync.forms import BatchFilter
from sync.models import Batch, BatchOrder, BatchPlan, BatchState, JobState, Mode
from sync.operations import batches as operations
from sync.operations.batches import BatchOptions, PlanChangedError
from sync.reading import held_up, jobs_by_state

plans = Routes("Batches", "batch-plans", scoping=Scoping.NARROWED)
routes = Routes("Batches", "batches", scoping=Scoping.NARROWED)


class Options(Body):
    """What a batch is asked to do; null: no bound. `canary` jobs run first and wait for a go."""

    mode: Mode = Mode.REPORT
    size: int = Field(operations.DEFAULT_SIZE, ge=1, le=operations.LARGEST_SIZE)
    name: str = Field("", max_length=120, examples=["After the gap of 20 November"])
    tags: list[Annotated[str, Field(max_length=40)]] = Field(default_factory=list, max_length=20)
    order: BatchOrder = BatchOrder.OLDEST
    most_at_once: int | None = Field(None, ge=1, le=operations.LARGEST_SIZE)
    stop_after_failures: int | None = Field(None, ge=1, le=operations.LARGEST_SIZE)
    canary: int = Field(0, ge=0, le=operations.LARGEST_SIZE)
    messages_per_second: int | None = Field(None, ge=0, le=LARGEST_NUMBER)
    lag_limit: int | None = Field(None, ge=0, le=LARGEST_NUMBER)
    keep_staged: bool = True
    auto_advance: bool = False
    window: Between | None = None

    def options(self) -> BatchOptions:
        values = {name: getattr(self, name) for name in BatchOptions.__slots__}
        return BatchOptions(
            **values | {"tags": tuple(self.tags), "window": self.window.window() if self.window else None}
        )


class PlanOut(Schema):
    """What a batch would take. `confirmation` has to be sent to start it, where it is not empty; `hash` always."""

    number: int
    hash: str
    mode: Mode
    organizations: list[str]
    active: list[str] = Field(description="Left out: they have an active job.")
    skipped: list[str] = Field(description="Left out: they are on the skip list.")
    reach: int = Field(description="Organizations that starting it sets off, with auto-advance counted in.")
    expected_tasks: int | None
    seconds_low: float | None
    seconds_high: float | None
    confirmation: str
    made_by: str
    made_at: datetime
    batch: int | None = Field(description="The batch that it was started as.")


class Start(Reason):
    """Starts exactly what the plan with this hash shows, or nothing."""

    hash: str = Field(min_length=64, max_length=64)
    confirmation: str = Field("", max_length=20)


class StartNow(Options):
    """Plan and start in one go, from the staged set."""

    reason: Why
    ticket: Ticket = ""
    confirmation: str = Field("", max_length=20, description="The number of organizations, where there are very many.")


class BatchOut(Schema):
    """A batch as the list has it."""

    number: int = Field(alias="id", examples=[12])
    name: str
    tags: list[str]
    mode: Mode
    state: BatchState
    pause_reason: str
    size: int
    order: BatchOrder
    window_from: datetime | None
    window_to: datetime | None
    most_at_once: int | None
    stop_after_failures: int | None
    canary: int
    canary_passed: bool
    messages_per_second: int | None
    lag_limit: int | None
    keep_staged: bool
    auto_advance: bool
    previous: int | None = Field(alias="previous_id")
    relation: str
    expected_tasks: int | None
    created_by: str
    created_at: datetime
    ended_at: datetime | None


class Totals(Schema):
    """Sums over the jobs of a batch, in tasks."""

    expected: int
    scanned: int
    stale: int
    missing: int
    orphan: int
    unsettled: int
    published: int
    verified: int
    unresolved: int


class StateCount(Schema):
    state: JobState
    jobs: int


class HeldUp(Schema):
    why: str
    jobs: int


class BatchDetail(BatchOut):
    """A batch with what has come of it so far."""

    trace_id: str
    awaits_go: bool
    totals: Totals
    states: list[StateCount]
    held_up: list[HeldUp]

    @staticmethod
    def resolve_trace_id(batch: Batch) -> str:
        return str(batch.trace_id)

    @staticmethod
    def resolve_awaits_go(batch: Batch) -> bool:
        return operations.awaits_go(batch)

    @staticmethod
    def resolve_totals(batch: Batch) -> object:
        return operations.totals(batch)

    @staticmethod
    def resolve_states(batch: Batch) -> list[object]:
        return list(jobs_by_state(batch))

    @staticmethod
    def resolve_held_up(batch: Batch) -> list[dict[str, object]]:
        return [{"why": why, "jobs": jobs} for why, jobs in held_up(batch)]


class BatchFilters(Schema):
    state: BatchState | None = None
    mode: Mode | None = None
    name: str | None = Field(None, max_length=120)
    tag: str | None = Field(None, max_length=40)


class From(StrEnum):
    """Which plan is made from an earlier batch: of what is missing, of the same again, of a report on the same."""

    MISSING = "missing"
    CLONE = "clone"
    REPORT = "report"


class FromBatch(Body):
    what: From


class Throttle(Reason):
    """Limits of the batch's own; null: none but the estate's."""

    messages_per_second: int | None = Field(None, ge=0, le=LARGEST_NUMBER)
    lag_limit: int | None = Field(None, ge=0, le=LARGEST_NUMBER)


FROM_BATCH: dict[From, Callable[[Batch, Actor], BatchPlan]] = {
    From.MISSING: operations.run_missing,
    From.CLONE: operations.clone,
    From.REPORT: operations.report_again,
}


@plans.act("", RUN, PlanOut, status=201, summary="Make a plan from the staged set; nothing is queued")
def make_plan(request: HttpRequest, body: Options) -> Any:
    return _shown(operations.make_plan(body.options(), actor_of(request)))


@plans.read("{number}", RUN, PlanOut, summary="A plan, which is kept for a day where nobody starts it")
def get_plan(request: HttpRequest, number: Number) -> Any:
    return _shown(get_object_or_404(BatchPlan, pk=number))


@plans.act("{number}/start", RUN, BatchDetail, status=201, summary="Start exactly what a plan shows, once")
def start_plan(request: HttpRequest, number: Number, body: Start) -> Any:
    """A plan that was started before answers with its batch. Has the staged set changed meanwhile, nothing is queued:
    409, and a new plan has to be made."""
    try:
        return operations.start_plan(number, body.hash, actor_of(request), body.confirmation, body.reason)
    except PlanChangedError as changed:
        detail = (
            f"The organizations changed since the plan was made: {len(changed.added):,} would come in, "
            f"{len(changed.removed):,} can no longer be taken. Nothing was queued; make a new plan."
        )
        raise ProblemError(HTTPStatus.CONFLICT, "plan-changed", detail) from changed


@plans.act("{number}/ask", RUN, PlanOut, summary="Ask a second person to approve a plan that is too large for one")
def ask_approval(request: HttpRequest, number: Number, body: Start) -> Any:
    """People approve and refuse on the plan's page; no program does."""
    return _shown(operations.ask_approval(number, body.hash, actor_of(request), body.confirmation, body.reason))


def _shown(plan: BatchPlan) -> dict[str, Any]:
    contents = operations.contents_of(plan)
    columns = ("hash", "expected_tasks", "seconds_low", "seconds_high", "made_by", "made_at")
    return {name: getattr(plan, name) for name in columns} | {
        "number": plan.pk,
        "batch": plan.batch_id,
        "mode": contents.options.mode,
        "organizations": list(contents.organizations),
        "active": list(contents.active),
        "skipped": list(contents.skipped),
        "reach": contents.reach,
        "confirmation": contents.confirmation,
    }


@routes.read("", VIEW, Page[BatchOut], summary="List batches, newest first")
def list_batches(request: HttpRequest, paging: PagingQuery, filters: Annotated[BatchFilters, Query()]) -> Any:
    return page(Batch.objects.filter(**filled(BatchFilter, filters).wanted()), ("-id",), paging)


@routes.act("", RUN, BatchDetail, status=201, summary="Plan and start a batch from the staged set")
def start_batch(request: HttpRequest, body: StartNow) -> Any:
    return operations.start_options(body.options(), actor_of(request), body.confirmation, body.reason)


@routes.read("{number}", VIEW, BatchDetail, summary="One batch")
def get_batch(request: HttpRequest, number: Number) -> Any:
    return _batch(number)


def _batch(number: int) -> Batch:
    return get_object_or_404(Batch, pk=number)


@routes.act(
    "{number}/pause", CANCEL, BatchDetail, summary="Hold back what waits; running jobs pause at their next chunk"
)
def pause_batch(request: HttpRequest, number: Number, body: Reason) -> Any:
    operations.pause(_batch(number), actor_of(request), body.reason)
    return _batch(number)


@routes.act("{number}/resume", RUN, BatchDetail, summary="Let a paused batch go on")
def resume_batch(request: HttpRequest, number: Number, body: Reason) -> Any:
    operations.resume(_batch(number), actor_of(request), body.reason)
    return _batch(number)


@routes.act("{number}/go", RUN, BatchDetail, summary="The canary was good: release the other jobs")
def let_batch_go(request: HttpRequest, number: Number, body: Reason) -> Any:
    operations.go(_batch(number), actor_of(request), body.reason)
    return _batch(number)


@routes.act(
    "{number}/cancel", CANCEL, BatchDetail, summary="Cancel a batch: what waits at once, the rest at its next chunk"
)
def cancel_batch(request: HttpRequest, number: Number, body: Reason) -> Any:
    operations.cancel_batch(_batch(number), actor_of(request), body.reason)
    return _batch(number)


@routes.act("{number}/retry", RUN, BatchDetail, summary="Run again what failed, looped or was cancelled")
def retry_batch(request: HttpRequest, number: Number, body: Reason) -> Any:
    operations.retry_failed(_batch(number), actor_of(request), body.reason)
    return _batch(number)


@routes.act("{number}/throttle", RUN, BatchDetail, summary="Change how fast a batch publishes, while it runs")
def throttle_batch(request: HttpRequest, number: Number, body: Throttle) -> Any:
    batch = _batch(number)
    operations.throttle(batch, body.messages_per_second, body.lag_limit, actor_of(request), body.reason)
    return _batch(number)


@routes.act("{number}/plan", RUN, PlanOut, status=201, summary="A plan made from an earlier batch")
def plan_from_batch(request: HttpRequest, number: Number, body: FromBatch) -> Any:
    return _shown(FROM_BATCH[body.what](_batch(number), actor_of(request)))
