"""What is kept of jobs, of what they found, of batches and of queries, and for how long.

Rows come in the order in which they were made, so the walk over the oldest ends at the first slice that is young.
What has not ended stays, and so does what something open points to: an alert, the skip list, the staged set, a batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from django.db.models import Exists, Model, OuterRef, QuerySet

from opsconsole.retention import ROWS_PER_STEP, Bounds, Portion, kind
from sync.models import (
    Attempt,
    Batch,
    BatchState,
    Drift,
    Job,
    JobEvent,
    JobRange,
    JobState,
    QueryRun,
    SetAside,
    SkippedOrganization,
    StagedOrganization,
    StopStep,
)
from sync.models.states import ACTIVE_STATES

JOBS_PER_STEP = 500
FINISHED = (JobState.DONE, JobState.CANCELLED)
"""What failed is tried again from its checkpoint, and then goes on with its drift and its log."""

PARTS: Sequence[tuple[type[Model], str]] = (
    (Drift, "out-of-sync tasks"),
    (JobEvent, "log lines of jobs"),
    (Attempt, "attempts"),
    (JobRange, "ranges"),
    (StopStep, "steps that ended jobs"),
    (SetAside, "tasks set aside"),
)
"""What belongs to a job, the most numerous first."""

BATCHES_OPEN = (BatchState.RUNNING, BatchState.PAUSED, BatchState.CANCELLING)
M = TypeVar("M", bound=Model)


@kind("drift", "Out-of-sync tasks that jobs found", "DRIFT_KEPT_DAYS")
def remove_drift(bounds: Bounds, after: int) -> Portion:
    return _remove_of_finished(Drift.objects.all(), "found_at", "out-of-sync tasks", bounds, after)


@kind("job_logs", "Logs of jobs", "JOB_LOGS_KEPT_DAYS")
def remove_logs(bounds: Bounds, after: int) -> Portion:
    return _remove_of_finished(JobEvent.objects.all(), "at", "log lines of jobs", bounds, after)


def _remove_of_finished(rows: QuerySet[M], at: str, what: str, bounds: Bounds, after: int) -> Portion:
    """Of the next rows, those whose job ended long ago. Six queries at most."""
    found = list(rows.filter(pk__gt=after).order_by("pk").values_list("pk", "job_id", at)[:ROWS_PER_STEP])
    aged = {job for _, job, made in found if made < bounds.before}
    if not aged:
        return Portion({}, None)
    last = found[-1][0]
    jobs = Job.objects.filter(pk__in=aged, state__in=FINISHED, ended_at__lt=bounds.before)
    old = _free(dict(jobs.values_list("pk", "batch_id")), bounds)
    ages = {f"{at}__lt": bounds.before}
    removed = rows.filter(pk__gt=after, pk__lte=last, job__in=old, **ages).delete()[0]
    return Portion({what: removed}, last if len(found) == ROWS_PER_STEP else None)


@kind("jobs", "Jobs, with all that belongs to them", "JOBS_KEPT_DAYS")
def remove_jobs(bounds: Bounds, after: int) -> Portion:
    """A job with more drift than a step may remove is come back to; until its last step it is there, with less."""
    columns = ("pk", "created_at", "ended_at", "state", "batch_id")
    found = list(Job.objects.filter(pk__gt=after).order_by("pk").values_list(*columns)[:JOBS_PER_STEP])
    aged = [row for row in found if row[1] < bounds.before]
    ended = {row[0]: row[4] for row in aged if row[3] not in ACTIVE_STATES and row[2] and row[2] < bounds.before}
    locked = _locked(_free(ended, bounds), bounds)
    removed, whole = _remove_parts(locked)
    if not whole:
        return Portion(removed, after)
    removed["jobs"] = Job.objects.filter(pk__in=locked).delete()[1].get("sync.Job", 0)
    return Portion(removed, found[-1][0] if aged and len(found) == JOBS_PER_STEP else None)


def _free(ended: dict[int, int | None], bounds: Bounds) -> list[int]:
    """Those of the jobs, given with their batch, that nothing open points to. Two queries."""
    listed = SkippedOrganization.objects.open().filter(job__in=ended)
    kept = {*bounds.kept_of("jobs"), *listed.values_list("job_id", flat=True)}
    kept_batches = _kept_batches({batch for batch in ended.values() if batch}, bounds)
    return [job for job, batch in ended.items() if job not in kept and batch not in kept_batches]


def _kept_batches(batches: Iterable[int], bounds: Bounds) -> set[int]:
    """Those of the batches that stay, with their jobs: they have not ended long ago, or something names them."""
    wanted = set(batches)
    old = Batch.objects.filter(pk__in=wanted, ended_at__lt=bounds.before).exclude(state__in=BATCHES_OPEN)
    unnamed = old.filter(~Exists(StagedOrganization.objects.filter(reported_in=OuterRef("pk"))))
    return wanted - {*unnamed.values_list("pk", flat=True)} | wanted & {*bounds.kept_of("batches")}


def _locked(jobs: Sequence[int], bounds: Bounds) -> list[int]:
    """Nobody retries a locked job until the step is over; what somebody else has locked is left for the next pass."""
    old = Job.objects.filter(pk__in=jobs, ended_at__lt=bounds.before).exclude(state__in=ACTIVE_STATES)
    return list(old.select_for_update(skip_locked=True).order_by("pk").values_list("pk", flat=True))


def _remove_parts(jobs: Sequence[int]) -> tuple[dict[str, int], bool]:
    """Remove what belongs to the jobs, as much as a step may. Whether that was all."""
    removed: dict[str, int] = {}
    left = ROWS_PER_STEP
    for model, what in PARTS:
        some = model._default_manager.filter(job__in=jobs).order_by("job", "pk").values("pk")[:left]
        removed[what] = model._default_manager.filter(pk__in=some).delete()[0]
        left -= removed[what]
        if not left:
            return removed, False
    return removed, True


@kind("batches", "Batches whose jobs are gone", "JOBS_KEPT_DAYS")
def remove_batches(bounds: Bounds, after: int) -> Portion:
    """A batch goes after its jobs, and after the batch that came from it has ended."""
    found = list(Batch.objects.filter(pk__gt=after).order_by("pk").values_list("pk", "created_at")[:JOBS_PER_STEP])
    aged = {number for number, made in found if made < bounds.before}
    free = aged - _kept_batches(aged, bounds)
    empty = Batch.objects.filter(~Exists(Job.objects.filter(batch=OuterRef("pk"))), pk__in=free)
    unfollowed = empty.exclude(next_batches__state__in=BATCHES_OPEN)
    removed = unfollowed.delete()[1].get("sync.Batch", 0)
    return Portion({"batches": removed}, found[-1][0] if aged and len(found) == JOBS_PER_STEP else None)


@kind("query_runs", "Runs of queries for affected organizations", "QUERY_RUNS_KEPT_DAYS")
def remove_query_runs(bounds: Bounds, after: int) -> Portion:
    """Once the clock has cleared away what they found, and while no staged organization came from them."""
    found = list(QueryRun.objects.filter(pk__gt=after).order_by("pk").values_list("pk", "started_at")[:JOBS_PER_STEP])
    aged = [number for number, began in found if began < bounds.before]
    staged = StagedOrganization.objects.filter(query_run=OuterRef("pk"))
    old = QueryRun.objects.filter(~Exists(staged), pk__in=aged, ended_at__lt=bounds.before)
    removed = old.exclude(rows_dropped_at=None).delete()[1].get("sync.QueryRun", 0)
    return Portion({"query runs": removed}, found[-1][0] if aged and len(found) == JOBS_PER_STEP else None)
