"""How a batch stands, summed over its jobs: counted while it runs, and kept with it from its end on."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields

from django.db.models import Count, F, Q, Sum

from sync.models import Batch, Job
from sync.models.states import ACTIVE_STATES, PROBLEM_STATES


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """How a batch stands: its jobs by how they stand, and sums over them."""

    jobs: int = 0
    ended: int = 0
    problems: int = 0
    drift: int = 0
    published: int = 0
    verified: int = 0
    unresolved: int = 0


def summed(batch_ids: Collection[int]) -> dict[int, BatchSummary]:
    """The summaries of these batches as their jobs stand now; without jobs, all is zero. One query over the jobs."""
    sums = (
        Job.objects.filter(batch__in=batch_ids)
        .values("batch_id")
        .annotate(
            all_jobs=Count("pk"),
            all_ended=Count("pk", filter=~Q(state__in=ACTIVE_STATES)),
            all_problems=Count("pk", filter=Q(state__in=PROBLEM_STATES)),
            all_drift=Sum(F("stale") + F("missing") + F("orphan")),
            all_published=Sum("published"),
            all_verified=Sum("verified"),
            all_unresolved=Sum("unresolved"),
        )
    )
    names = [f"all_{field.name}" for field in fields(BatchSummary)]
    found = {number: BatchSummary(*counts) for number, *counts in sums.values_list("batch_id", *names)}
    return {number: found.get(number, BatchSummary()) for number in batch_ids}


def summaries(batches: Collection[Batch]) -> dict[int, BatchSummary]:
    """The summaries of these batches: of one that has ended, as it was then. One query, over the jobs of those that
    have not, and none where all have."""
    open_ones = [batch.pk for batch in batches if batch.summary is None]
    ended = {batch.pk: BatchSummary(**batch.summary) for batch in batches if batch.summary is not None}
    return ended | (summed(open_ones) if open_ones else {})
