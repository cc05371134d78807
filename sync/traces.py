"""What sync knows of a trace: batches, jobs, what they published and saw arrive."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from django.db.models import Q
from django.urls import reverse

from opsconsole import trace
from opsconsole.words import counted
from sync.models import Batch, Job


@trace.links_of(narrowed=True)
def batches(trace_id: UUID) -> Iterator[trace.Link]:
    for batch in Batch.objects.filter(trace_id=trace_id).order_by("pk")[: trace.MOST_SHOWN]:
        sentence = f"{counted(batch.size, 'organization')}, mode {batch.mode}, by {batch.created_by}."
        yield trace.Link(batch.created_at, f"batch {batch.pk}", sentence, reverse("sync:batch", args=[batch.pk]))


@trace.links_of(narrowed=True)
def jobs(trace_id: UUID) -> Iterator[trace.Link]:
    """Those of its batches, and those of no batch: each by its own index."""
    numbers = list(Batch.objects.filter(trace_id=trace_id).values_list("pk", flat=True)[: trace.MOST_SHOWN])
    of_trace = Q(batch__in=numbers) if numbers else Q(batch__isnull=True, trace_id=trace_id)
    for job in Job.objects.filter(of_trace).defer("task_ids").order_by("pk")[: trace.MOST_SHOWN]:
        what, address = f"job {job.pk}", reverse("sync:job", args=[job.pk])
        yield trace.Link(job.created_at, what, f"Queued in mode {job.mode}, by {job.created_by}.", address)
        if job.started_at:
            yield trace.Link(job.started_at, what, f"Taken by worker {job.worker}.", address)
        if job.ended_at:
            yield trace.Link(job.ended_at, what, _end_of(job), address)


def _end_of(job: Job) -> str:
    return (
        f"{job.status.label}: {counted(job.scanned, 'task')} compared, {job.drift_found:,} out of sync, "
        f"{job.published:,} published, {job.verified:,} verified, {job.unresolved:,} unresolved."
    )
