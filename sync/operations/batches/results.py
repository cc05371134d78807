"""What came of a batch: totals, a comparison of two runs by organization, and lines for a CSV file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Sum

from opsconsole import estate
from sync.models import Batch, Job, JobState

TOTALS = ("expected", "scanned", "stale", "missing", "orphan", "unsettled", "published", "verified", "unresolved")
ROWS_PER_FETCH = 2_000

CSV_HEADER = (
    *("organization", "name", "job", "state"),
    *("scanned", "stale", "missing", "orphan", "unsettled", "published", "verified", "unresolved", "error"),
)


@dataclass(frozen=True, slots=True)
class BatchTotals:
    """Sums over the jobs of a batch."""

    expected: int
    scanned: int
    stale: int
    missing: int
    orphan: int
    unsettled: int
    published: int
    verified: int
    unresolved: int

    @property
    def drift(self) -> int:
        return self.stale + self.missing + self.orphan


def totals(batch: Batch) -> BatchTotals:
    """Sums of all counters over the jobs. One query."""
    sums = Job.objects.filter(batch=batch).aggregate(**{name: Sum(name) for name in TOTALS})
    return BatchTotals(**{name: sums[name] or 0 for name in TOTALS})


@dataclass(frozen=True, slots=True)
class JobFigures:
    """One job of one organization. `duration` from the first start to the end; None where it has not ended."""

    job_id: int
    state: JobState
    scanned: int
    stale: int
    missing: int
    orphan: int
    published: int
    verified: int
    unresolved: int
    duration: timedelta | None

    @property
    def drift(self) -> int:
        return self.stale + self.missing + self.orphan


@dataclass(frozen=True, slots=True)
class ComparedOrganization:
    """An organization in two runs; None where a run did not have it."""

    organization_id: str
    name: str
    first: JobFigures | None
    second: JobFigures | None

    @property
    def drift_change(self) -> int | None:
        """How much more drift the second run found; None where only one of them looked."""
        return self.second.drift - self.first.drift if self.first and self.second else None


def compare_batches(first: Batch, second: Batch, *, after: str = "", limit: int = 50) -> list[ComparedOrganization]:
    """Up to `limit` organizations of either batch with an id beyond `after`, by id. Two queries."""
    jobs = Job.objects.filter(batch__in=(first, second))
    beyond = jobs.filter(organization_id__gt=after) if after else jobs
    ids = list(beyond.order_by("organization_id").values_list("organization_id", flat=True).distinct()[:limit])
    found: dict[str, dict[int, Job]] = {organization: {} for organization in ids}
    for job in jobs.filter(organization_id__in=ids).order_by("pk"):
        assert job.batch_id is not None
        found[job.organization_id][job.batch_id] = job
    return [_compared(organization, by_batch, first, second) for organization, by_batch in found.items()]


def _compared(organization: str, by_batch: dict[int, Job], first: Batch, second: Batch) -> ComparedOrganization:
    one, other = by_batch.get(first.pk), by_batch.get(second.pk)
    named = other or one
    return ComparedOrganization(
        organization_id=organization,
        name=named.organization_name if named else "",
        first=_figures(one) if one else None,
        second=_figures(other) if other else None,
    )


def _figures(job: Job) -> JobFigures:
    return JobFigures(
        job_id=job.pk,
        state=job.status,
        scanned=job.scanned,
        stale=job.stale,
        missing=job.missing,
        orphan=job.orphan,
        published=job.published,
        verified=job.verified,
        unresolved=job.unresolved,
        duration=job.ended_at - job.started_at if job.ended_at and job.started_at else None,
    )


def batch_csv_rows(batch: Batch) -> Iterator[tuple[object, ...]]:
    """A row under CSV_HEADER for each job, in the order they run, streamed. `csvfile` makes the cells safe."""
    prefix = estate.current().source.id_prefix
    columns = ("organization_id", "organization_name", "pk", "state", *CSV_HEADER[4:])
    jobs = Job.objects.filter(batch=batch).order_by("pk").values_list(*columns)
    for organization, *others in jobs.iterator(chunk_size=ROWS_PER_FETCH):
        yield (f"{prefix}{organization}", *others)
