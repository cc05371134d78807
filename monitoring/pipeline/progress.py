"""Since when running jobs stand where they stand, and which run too long: what people watch a log for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import OuterRef, Subquery

from monitoring.pipeline.models import JobProgress
from opsconsole.clock.asking import Questions
from sync.models import Attempt, AttemptOutcome, Job, JobKind
from sync.models.states import HELD_STATES
from sync.queueing import QUEUE_OF_KIND

MOST = 500
COLUMNS = ("kind", "organization_id", "organization_name", "worker", "state", "fence", "checkpoint", "scanned")
COUNTERS = ("published", "verified", "unresolved", "phase")


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job that a worker has. `running` and `standing` are seconds: of its attempt, and without progress."""

    number: int
    worker: str
    queue: str
    organization: str
    organization_id: str
    running: float
    standing: float


TO_FOLLOW = Questions(
    held=lambda now: Job.objects.filter(state__in=HELD_STATES), known=lambda now: JobProgress.objects.all()
)


def held_jobs() -> list[Job]:
    """Jobs that workers have now, at most 500, with `attempt_started`. One query, by the index of states."""
    attempts = Attempt.objects.filter(job_id=OuterRef("pk"), outcome=AttemptOutcome.RUNNING).order_by("-number")
    held = Job.objects.filter(state__in=HELD_STATES).only(*COLUMNS, *COUNTERS)
    return list(held.annotate(attempt_started=Subquery(attempts.values("started_at")[:1])).order_by("-pk")[:MOST])


def place_of(job: Job) -> str:
    """Where a job stands: any progress changes this text."""
    return f"{job.fence} {job.phase} {job.checkpoint} {job.scanned} {job.published} {job.verified} {job.unresolved}"


def follow(now: datetime) -> int:
    """Write down which running jobs moved since the last look. Returns how many run. A duty of the clock; one statement
    where none runs."""
    if not TO_FOLLOW.any():
        return 0
    jobs = held_jobs()
    known = dict(JobProgress.objects.values_list("pk", "place"))
    moved = [
        JobProgress(job_id=job.pk, place=place_of(job), since=now) for job in jobs if known.get(job.pk) != place_of(job)
    ]
    JobProgress.objects.bulk_create(
        moved, update_conflicts=True, unique_fields=["job_id"], update_fields=["place", "since"]
    )
    JobProgress.objects.exclude(pk__in=[job.pk for job in jobs]).delete()
    return len(jobs)


def running_jobs(now: datetime) -> list[RunningJob]:
    """What runs now. Two queries; one where nothing does."""
    held = held_jobs()
    since = dict(JobProgress.objects.values_list("pk", "since")) if held else {}
    return [_running(job, since.get(job.pk), now) for job in held]


def _running(job: Job, since: datetime | None, now: datetime) -> RunningJob:
    started: datetime | None = job.attempt_started  # type: ignore[attr-defined]
    return RunningJob(
        number=job.pk,
        worker=job.worker,
        queue=QUEUE_OF_KIND[JobKind(job.kind)],
        organization=job.organization_name or job.organization_id,
        organization_id=job.organization_id,
        running=max((now - started).total_seconds(), 0.0) if started else 0.0,
        standing=max((now - since).total_seconds(), 0.0) if since else 0.0,
    )


def by_worker(jobs: Iterable[RunningJob]) -> dict[str, list[RunningJob]]:
    found: dict[str, list[RunningJob]] = {}
    for job in jobs:
        found.setdefault(job.worker, []).append(job)
    return found
