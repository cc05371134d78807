"""Queues and workers as the pages show them: put together from Redis, from the workers' signs and from samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from monitoring.pipeline import limits, samples
from monitoring.pipeline.models import PausedQueue
from monitoring.pipeline.operations.sampling import subject_of
from monitoring.pipeline.progress import RunningJob, running_jobs
from monitoring.pipeline.queues import Flow, QueueFigures, QueueState, needs, read_queues, state_of
from monitoring.pipeline.samples import Kept
from monitoring.pipeline.stuck import Finding, JobLook, QueueLook, find_stuck
from monitoring.pipeline.workers import WORKING_STATES, WorkerRow, live_workers, read_registered, worker_rows
from opsconsole.charts import LineChart, line_chart
from opsconsole.errors import UnavailableError
from opsconsole.estate.model import Pipeline

CHARTED = timedelta(hours=6)
FLOW_OVER = timedelta(minutes=2)
FIGURES_SHOWN = 24


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One queue. `figures` is None where Redis did not answer; `needs` says which limits it is above."""

    name: str
    figures: QueueFigures | None
    state: QueueState | None
    flow: Flow
    needs: tuple[str, ...]
    paused: PausedQueue | None
    listening: int
    busy: int
    chart: LineChart
    samples: tuple[Kept, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """All queues and workers at one moment. `error` says why Redis' part is missing; empty where it is there."""

    queues: tuple[QueueRow, ...]
    workers: tuple[WorkerRow, ...]
    findings: tuple[Finding, ...]
    error: str


def standing(now: datetime) -> Standing:
    """Six queries and four round trips to Redis, whatever there is."""
    error = ""
    figures: Mapping[str, QueueFigures] = {}
    registered = None
    try:
        figures = {one.name: one for one in read_queues(now)}
        registered = read_registered()
    except UnavailableError as unavailable:
        error = str(unavailable)
    now_limits, jobs, beats = limits.current(), running_jobs(now), live_workers()
    workers = worker_rows(registered, beats, jobs, job_times(now_limits), now)
    queues = _queue_rows(figures, workers, now_limits, now)
    findings = find_stuck(_looks(queues, now, now_limits), job_looks(jobs, now_limits), now_limits.stuck_after)
    return Standing(tuple(queues), tuple(workers), tuple(findings), error)


def workers_now(now: datetime) -> tuple[list[WorkerRow], str]:
    """The workers, and why what RQ has of them is missing (empty: it is not). Four queries."""
    registered, error = None, ""
    try:
        registered = read_registered()
    except UnavailableError as unavailable:
        error = str(unavailable)
    return worker_rows(registered, live_workers(), running_jobs(now), job_times(limits.current()), now), error


def job_times(now_limits: Pipeline) -> dict[str, float]:
    return {queue: limits.of_queue(now_limits, queue).job_time for queue in settings.QUEUES}


def job_looks(jobs: Sequence[RunningJob], now_limits: Pipeline) -> list[JobLook]:
    times = job_times(now_limits)
    return [JobLook(job.number, job.worker, job.running, job.standing, times[job.queue]) for job in jobs]


def _queue_rows(
    figures: Mapping[str, QueueFigures], workers: Sequence[WorkerRow], now_limits: Pipeline, now: datetime
) -> list[QueueRow]:
    paused = {one.queue: one for one in PausedQueue.objects.all()}
    history = samples.since(now - CHARTED, *(subject_of(name) for name in settings.QUEUES))
    return [
        _queue_row(name, figures.get(name), paused.get(name), workers, history[subject_of(name)], now_limits, now)
        for name in settings.QUEUES
    ]


def _queue_row(
    name: str,
    figures: QueueFigures | None,
    paused: PausedQueue | None,
    workers: Sequence[WorkerRow],
    history: list[Kept],
    now_limits: Pipeline,
    now: datetime,
) -> QueueRow:
    own = limits.of_queue(now_limits, name)
    mine = [worker for worker in workers if name in worker.queues and worker.state in WORKING_STATES]
    label = f"Messages waiting in {name} over the last six hours"
    points = samples.points(history, "depth")
    return QueueRow(
        name=name,
        figures=figures,
        state=state_of(figures.depth, figures.oldest, own, paused=paused is not None) if figures else None,
        flow=mean_flow([one for one in history if one.at >= now - FLOW_OVER]),
        needs=tuple(needs(figures.depth, figures.oldest, own)) if figures else (),
        paused=paused,
        listening=len(mine),
        busy=sum(bool(worker.jobs or worker.rq_job) for worker in mine),
        chart=line_chart(label, points, now - CHARTED, now, gap=samples.GAP, limit=own.depth),
        samples=tuple(every_nth(history)),
    )


def mean_flow(recent: Sequence[Kept]) -> Flow:
    """The mean of what is known; None where nothing is."""

    def mean(figure: str) -> float | None:
        known = [value for one in recent if (value := one.figures.get(figure)) is not None]
        return sum(known) / len(known) if known else None

    return Flow(mean("came"), mean("went"))


def every_nth(history: Sequence[Kept]) -> list[Kept]:
    """About 24 of the samples, newest first: the table behind a chart."""
    step = max(len(history) // FIGURES_SHOWN, 1)
    return list(history)[::-1][::step][:FIGURES_SHOWN]


def _looks(queues: Sequence[QueueRow], now: datetime, now_limits: Pipeline) -> list[QueueLook]:
    span = timedelta(seconds=now_limits.stuck_after)
    history = samples.since(now - span, *(subject_of(queue.name) for queue in queues))
    return [
        _look(queue, queue.figures, history[subject_of(queue.name)], now)
        for queue in queues
        if queue.figures is not None
    ]


def _look(queue: QueueRow, figures: QueueFigures, recent: Sequence[Kept], now: datetime) -> QueueLook:
    first = recent[0] if recent else None
    went = figures.taken - first.figures.get("taken", 0) if first else None
    return QueueLook(
        name=queue.name,
        depth=figures.depth,
        oldest=figures.oldest,
        went=went if went is not None and went >= 0 else None,
        # The first sample is up to one interval younger than asked for.
        seconds=(now - first.at).total_seconds() + samples.EVERY.total_seconds() if first else 0.0,
        listening=queue.listening,
        busy=queue.busy,
        paused=queue.paused is not None,
    )
