"""What the pages read: only the columns that they show, never a query per row, no count without a bound."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import (
    Count,
    F,
    Func,
    IntegerField,
    JSONField,
    OuterRef,
    QuerySet,
    Subquery,
)
from django.db.models.functions import Left

from sync.batch_sums import BatchSummary, summaries
from sync.models import (
    Attempt,
    AttemptOutcome,
    Batch,
    Drift,
    Job,
    JobEvent,
    JobKind,
    JobState,
    Phase,
    StagedOrganization,
    StopStep,
)
from sync.models.states import ACTIVE_STATES, HELD_STATES
from sync.progress import Pace, pace

ERROR_LENGTH = 200
EVENTS_SHOWN = 200
TASKS_SHOWN = 50
HELD_UP_SHOWN = 3
LISTED_COLUMNS = (
    *("kind", "mode", "organization_id", "organization_name", "batch_id", "state", "phase", "fence", "worker"),
    *("created_at", "started_at", "ended_at", "not_before", "expected", "scanned", "stale", "missing", "orphan"),
    *("published", "verified", "unresolved", "error_type", "waits_for"),
)


def listed_jobs() -> QuerySet[Job]:
    """Jobs with what a list shows. `task_total` is the length of the id list, which itself stays in the database."""
    return Job.objects.only(*LISTED_COLUMNS).annotate(
        task_total=Func(F("task_ids"), function="jsonb_array_length", output_field=IntegerField()),
        error_start=Left("error", ERROR_LENGTH),
    )


def whole_jobs() -> QuerySet[Job]:
    """Jobs with all that a job's page shows; its list of ids, up to some hundred kilobytes, comes by `tasks_of`."""
    return Job.objects.select_related("batch").defer("task_ids")


def drift_of(job: Job) -> QuerySet[Drift]:
    """The drift that a job found, bounded by its latest row. One query, by the index of job and id.

    Without the bound, a job with much of all the drift is looked for from the newest drift of all backwards: PostgreSQL
    expects to meet it soon, and passes by a million rows of others. The range that is no range keeps it from doing so
    here.
    """
    own = Drift.objects.filter(job_id__gte=job.pk, job_id__lte=job.pk).order_by("-job_id", "-pk")
    latest = own.values_list("pk", flat=True).first()
    return job.drift.none() if latest is None else job.drift.filter(pk__lte=latest)


@dataclass(frozen=True, slots=True)
class TaskList:
    """The first ids of a job's list, and how many there are in all."""

    first: tuple[str, ...]
    total: int

    @property
    def more(self) -> int:
        return self.total - len(self.first)


def tasks_of(job: Job) -> TaskList | None:
    """What a job of kind tasks lists; None for any other. One query, or none."""
    if job.kind != JobKind.TASKS:
        return None
    first = f"jsonb_path_query_array(%(expressions)s, '$[0 to {TASKS_SHOWN - 1}]')"
    ids, total = Job.objects.values_list(
        Func(F("task_ids"), template=first, output_field=JSONField()),
        Func(F("task_ids"), function="jsonb_array_length", output_field=IntegerField()),
    ).get(pk=job.pk)
    return TaskList(tuple(ids), total)


def staged_with_obstacle() -> QuerySet[StagedOrganization]:
    """The staged set, each with the number of the job that is active for it (`active_job`), or None."""
    active = Job.objects.filter(
        kind=JobKind.ORGANIZATION, state__in=ACTIVE_STATES, organization_id=OuterRef("organization_id")
    )
    return StagedOrganization.objects.annotate(active_job=Subquery(active.values("pk")[:1]))


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A line of the list of batches."""

    batch: Batch
    summary: BatchSummary


def batch_rows(batches: Sequence[Batch]) -> list[BatchRow]:
    """The batches, each with its summary. One query, or none where all have ended."""
    found = summaries(batches)
    return [BatchRow(batch, found[batch.pk]) for batch in batches]


@dataclass(frozen=True, slots=True)
class StateCount:
    state: JobState
    jobs: int


def jobs_by_state(batch: Batch) -> tuple[StateCount, ...]:
    """How many jobs of the batch are in each state, in the order of the states; those with none are left out."""
    found = dict(Job.objects.filter(batch=batch).values_list("state").annotate(jobs=Count("pk")))
    return tuple(StateCount(state, found[state.value]) for state in JobState if state.value in found)


def held_up(batch: Batch) -> list[tuple[str, int]]:
    """Why jobs of the batch publish nothing just now, each reason with how many jobs have it. One query, bounded by
    the jobs that workers have; the commonest few."""
    held = Job.objects.filter(batch=batch, state__in=HELD_STATES, phase=Phase.WALK).exclude(waits_for="")
    counted = held.values_list("waits_for").annotate(jobs=Count("pk")).order_by("-jobs", "waits_for")
    return list(counted[:HELD_UP_SHOWN])


def latest_events(job: Job) -> list[JobEvent]:
    """The last lines of the job's log, oldest first. One query."""
    return list(job.events.order_by("-pk")[:EVENTS_SHOWN])[::-1]


@dataclass(frozen=True, slots=True)
class LadderRow:
    """A step asked of an attempt; `attempt` has its worker, host and process, where there was one."""

    step: StopStep
    attempt: Attempt | None


def current_attempt(job: Job) -> Attempt | None:
    """The attempt that has the job, or had it last. One query."""
    return job.attempts.filter(number=job.fence, range_number=0).first()


STEPS_SHOWN = 12


def ladder_of(job: Job) -> list[LadderRow]:
    """What was asked of the job's processes, the latest first. Two queries, one where nothing was."""
    steps = list(job.stop_steps.order_by("-pk")[:STEPS_SHOWN])
    numbers = {step.attempt for step in steps}
    attempts = {one.number: one for one in job.attempts.filter(number__in=numbers, range_number=0)} if numbers else {}
    return [LadderRow(step, attempts.get(step.attempt)) for step in steps]


def pace_of(job: Job, attempts: Iterable[Attempt], now: datetime) -> Pace | None:
    """The pace of the attempt under way, or of the last one that ended, with those who help it. `attempts` are the
    newest first."""
    attempt = next((attempt for attempt in attempts if not attempt.range_number), None)
    if attempt is None:
        return None
    running = attempt.status is AttemptOutcome.RUNNING
    end = now if running else attempt.ended_at or attempt.started_at
    after = job.scanned if attempt.scanned_after is None else attempt.scanned_after
    walking = running and job.phase == Phase.WALK
    left = max(job.expected - job.scanned, 0) if walking and job.expected is not None else None
    return pace(after - attempt.scanned_before, (end - attempt.started_at).total_seconds(), left)
