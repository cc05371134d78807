"""The pipeline for programs: the overview's signals, queues, workers, consumer lag, canary."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from django.http import Http404, HttpRequest
from django.utils import timezone
from ninja import Field, Path, Schema

from monitoring.pipeline import consumer, limits
from monitoring.pipeline.access import PAUSE, RESTART, VIEW
from monitoring.pipeline.drift import drift_now
from monitoring.pipeline.models import CanaryRound, SignalState
from monitoring.pipeline.operations import queues as queue_operations
from monitoring.pipeline.operations import workers as worker_operations
from monitoring.pipeline.queues import QueueState
from monitoring.pipeline.standing import QueueRow, standing, workers_now
from monitoring.pipeline.views.queues import known
from monitoring.pipeline.workers import WorkerRow, WorkerState
from opsconsole.api.paging import Page, PagingQuery, page
from opsconsole.api.routes import Reason, Routes, actor_of
from opsconsole.errors import UnavailableError
from opsconsole.tones import Tone

overview = Routes("Pipeline", "overview")
queues = Routes("Pipeline", "queues")
workers = Routes("Pipeline", "workers")
lag = Routes("Pipeline", "lag")
canary = Routes("Pipeline", "canary")

QueueName = Annotated[str, Path(min_length=1, max_length=60, example="default")]
WorkerName = Annotated[str, Path(min_length=1, max_length=200, example="worker-1")]


class SignalOut(Schema):
    """One signal of the overview; its `tone` has been so since `since`, as the clock saw it at `looked_at`."""

    name: str
    tone: Tone
    since: datetime
    looked_at: datetime
    shown: str
    sentence: str
    limit: str


class Signals(Schema):
    items: list[SignalOut]


class QueueOut(Schema):
    """`depth`, `failed` and `oldest_seconds` as Redis has them now; `came` and `went` are messages a minute."""

    name: str
    state: QueueState
    depth: int
    oldest_seconds: float | None
    failed: int
    came: float | None
    went: float | None
    needs: list[str]
    paused_because: str | None
    listening: int
    busy: int


class Queues(Schema):
    """`stuck` says in words what does not move, and why."""

    items: list[QueueOut]
    stuck: list[str]


class WorkerOut(Schema):
    """A worker; `jobs` are the numbers of those it has. `memory` is in bytes."""

    name: str
    host: str
    pid: int | None
    queues: list[str]
    state: WorkerState
    last_sign: datetime | None
    started_at: datetime | None
    memory: int | None
    jobs: list[int]


class Workers(Schema):
    """`problem` says why what RQ knows of the workers is missing; null: it is not."""

    items: list[WorkerOut]
    problem: str | None


class PartitionOut(Schema):
    partition: int
    latest: int
    committed: int | None
    lag: int


class LagOut(Schema):
    """How far the indexing service's consumer group is behind, just now; `seconds_left` until it has caught up."""

    at: datetime
    lag: int
    limit: int
    sentence: str
    came_per_second: float | None
    went_per_second: float | None
    seconds_left: float | None
    partitions: list[PartitionOut]


class RoundOut(Schema):
    """One comparison of a sample; `window_from` and `window_to` enclose the updates of all that differ."""

    at: datetime
    seconds: float
    compared: int
    stale: int
    missing: int
    orphan: int
    found: int
    organizations: int
    whole: bool
    unsettled: int
    window_from: datetime | None
    window_to: datetime | None
    tasks: list[str]
    error: str


class CanaryOut(Schema):
    """What the rounds say together; the window is what to ask for affected organizations."""

    tone: Tone
    sentence: str
    since: datetime | None
    window_from: datetime | None
    window_to: datetime | None
    limit: int


class Done(Schema):
    done: str = Field(examples=["The queue low is paused."])


@overview.read("", VIEW, Signals, summary="Is anything wrong? The overview's signals")
def get_overview(request: HttpRequest) -> Any:
    return {"items": list(SignalState.objects.order_by("name"))}


@queues.read("", VIEW, Queues, summary="How the queues stand")
def list_queues(request: HttpRequest) -> Any:
    now = standing(timezone.now())
    if now.error:
        raise UnavailableError(now.error)
    return {"items": [_queue(row) for row in now.queues], "stuck": [one.sentence for one in now.findings]}


def _queue(row: QueueRow) -> dict[str, Any]:
    assert row.figures is not None, "Redis has answered"
    return {
        "name": row.name,
        "state": row.state,
        "depth": row.figures.depth,
        "oldest_seconds": row.figures.oldest,
        "failed": row.figures.failed,
        "came": row.flow.came,
        "went": row.flow.went,
        "needs": list(row.needs),
        "paused_because": row.paused.reason if row.paused else None,
        "listening": row.listening,
        "busy": row.busy,
    }


@queues.act("{queue}/pause", PAUSE, Done, summary="Workers take nothing more from a queue; what runs goes on")
def pause_queue(request: HttpRequest, queue: QueueName, body: Reason) -> Any:
    queue_operations.pause(known(queue), actor_of(request), body.reason)
    return {"done": f"The queue {queue} is paused."}


@queues.act("{queue}/resume", PAUSE, Done, summary="Workers take messages of a queue again")
def resume_queue(request: HttpRequest, queue: QueueName, body: Reason) -> Any:
    queue_operations.resume(known(queue), actor_of(request), body.reason)
    return {"done": f"The queue {queue} is resumed."}


@workers.read("", VIEW, Workers, summary="The workers, those in trouble first")
def list_workers(request: HttpRequest) -> Any:
    rows, error = workers_now(timezone.now())
    return {"items": [_worker(row) for row in rows], "problem": error or None}


def _worker(row: WorkerRow) -> dict[str, Any]:
    columns = ("name", "host", "pid", "state", "last_sign", "started_at", "memory")
    return {name: getattr(row, name) for name in columns} | {
        "queues": list(row.queues),
        "jobs": [job.number for job in row.jobs],
    }


@workers.act("{worker}/restart", RESTART, Done, summary="Ask a worker to end at its job's next checkpoint")
def restart_worker(request: HttpRequest, worker: WorkerName, body: Reason) -> Any:
    rows, _ = workers_now(timezone.now())
    if worker not in {row.name for row in rows}:
        raise Http404
    worker_operations.restart(worker, actor_of(request), body.reason)
    return {"done": f"Worker {worker} was asked to end."}


@lag.read("", VIEW, LagOut, summary="Consumer lag, asked of the broker now")
def get_lag(request: HttpRequest) -> Any:
    """Waits for the broker for two seconds at most."""
    now = consumer.lag_now(timezone.now())
    if now.lag is None:
        raise UnavailableError(now.sentence)
    return {
        "at": now.look.at,
        "lag": now.lag,
        "limit": now.limit,
        "sentence": now.sentence,
        "came_per_second": now.came,
        "went_per_second": now.went,
        "seconds_left": now.until,
        "partitions": list(now.look.partitions),
    }


@canary.read("", VIEW, CanaryOut, summary="What the drift canary says")
def get_canary(request: HttpRequest) -> Any:
    limit = limits.current().canary_limit
    drift = drift_now(limit)
    return {
        "tone": drift.tone,
        "sentence": drift.sentence,
        "since": drift.since,
        "window_from": drift.window.start if drift.window else None,
        "window_to": drift.window.end if drift.window else None,
        "limit": limit,
    }


@canary.read("rounds", VIEW, Page[RoundOut], summary="The canary's rounds, newest first")
def list_rounds(request: HttpRequest, paging: PagingQuery) -> Any:
    return page(CanaryRound.objects.all(), ("-at", "-id"), paging)
