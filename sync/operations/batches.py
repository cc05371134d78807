"""Batches: organizations taken from the set together, checked in one mode, seen to their end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, QuerySet, Sum
from django.db.models.functions import Now

from opsconsole import audit
from opsconsole.errors import UsageError
from sync import queueing
from sync.models import Batch, BatchState, Job, JobEvent, Mode, StagedOrganization
from sync.models.job import ACTIVE_STATES, ORGANIZATION_KINDS
from sync.signals import batch_ended

DEFAULT_SIZE = 10
LARGEST_SIZE = 10_000
ROWS_PER_STATEMENT = 1_000

TOTALS = ("expected", "scanned", "stale", "missing", "orphan", "unsettled", "published", "verified", "unresolved")


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


def ready_organizations(mode: Mode) -> QuerySet[StagedOrganization]:
    """What the next batch would take, oldest first: staged, no active job, and for a report not yet reported."""
    active = Job.objects.filter(
        kind__in=ORGANIZATION_KINDS, state__in=ACTIVE_STATES, organization_id=OuterRef("organization_id")
    )
    ready = StagedOrganization.objects.exclude(Exists(active)).order_by("staged_at", "organization_id")
    return ready.filter(reported_in=None) if mode == Mode.REPORT else ready


def start_batch(size: int, mode: Mode, actor: audit.Actor) -> Batch:
    """Take up to `size` staged organizations and queue a job for each.

    In mode `sync` they leave the set; in mode `report` they stay and are marked, so that the next report goes on with
    others. Raises UsageError where the size is out of range or nothing is ready, UnavailableError
    without Redis.
    """
    if not 1 <= size <= LARGEST_SIZE:
        raise UsageError(f"A batch of {size:,} organizations is not possible; allowed are 1 to {LARGEST_SIZE:,}.")
    queueing.require_reachable()
    try:
        with transaction.atomic():
            return _start(size, mode, actor)
    except IntegrityError as error:
        if "one_active_job_per_organization" not in str(error):
            raise
        raise UsageError("A staged organization was given a job meanwhile; nothing was queued. Try again.") from error


def _start(size: int, mode: Mode, actor: audit.Actor) -> Batch:
    staged = list(ready_organizations(mode).select_for_update(of=("self",), skip_locked=True)[:size])
    if not staged:
        raise UsageError(_nothing_ready(mode))
    batch = Batch.objects.create(mode=mode, size=size, created_by=actor.name, trace_id=uuid4())
    jobs = Job.objects.bulk_create(
        [
            Job(
                batch=batch,
                mode=mode,
                organization_id=row.organization_id,
                organization_name=row.name,
                trace_id=batch.trace_id,
                created_by=actor.name,
            )
            for row in staged
        ],
        batch_size=ROWS_PER_STATEMENT,
    )
    JobEvent.objects.bulk_create(
        [JobEvent(job=job, message=f"Queued by {actor.name} in batch {batch.pk}.") for job in jobs],
        batch_size=ROWS_PER_STATEMENT,
    )
    taken = StagedOrganization.objects.filter(pk__in=[row.pk for row in staged])
    if mode == Mode.SYNC:
        taken.delete()
    else:
        taken.update(reported_in=batch)
    audit.record(
        actor, "batch.started", f"batch:{batch.pk}", trace_id=batch.trace_id, mode=mode, organizations=len(jobs)
    )
    queueing.enqueue_after_commit(jobs)
    return batch


def _nothing_ready(mode: Mode) -> str:
    if not StagedOrganization.objects.exists():
        return "No organization is staged; stage some first."
    if mode == Mode.REPORT:
        return "Every staged organization has been reported or has an active job; clear the set, or sync it."
    return "Every staged organization has an active job; wait for those, or cancel them."


def cancel_batch(batch: Batch, actor: audit.Actor, reason: str) -> tuple[int, int]:
    """Cancel what waits at once and ask the rest to stop at the next chunk. Returns (cancelled, asked).

    Raises UsageError where the batch has ended.
    """
    with transaction.atomic():
        running = Batch.objects.filter(pk=batch.pk, state=BatchState.RUNNING)
        if not running.update(state=BatchState.CANCELLING):
            raise UsageError(f"Batch {batch.pk} is not running any more; there is nothing to cancel.")
        jobs = Job.objects.filter(batch=batch)
        cancelled, asked = jobs.cancel_waiting(), jobs.ask_to_cancel()
        audit.record(
            actor,
            "batch.cancelled",
            f"batch:{batch.pk}",
            reason=reason,
            trace_id=batch.trace_id,
            cancelled=cancelled,
            asked=asked,
        )
    close_ended_batches([batch.pk])
    return cancelled, asked


def close_ended_batches(batch_ids: Sequence[int] | None = None) -> int:
    """End every batch (of `batch_ids`, where given) that has no active job left. Returns how many ended."""
    active = Job.objects.filter(batch=OuterRef("pk"), state__in=ACTIVE_STATES)
    ended = 0
    for state, end in ((BatchState.RUNNING, BatchState.DONE), (BatchState.CANCELLING, BatchState.CANCELLED)):
        candidates = Batch.objects.filter(state=state).exclude(Exists(active))
        if batch_ids is not None:
            candidates = candidates.filter(pk__in=batch_ids)
        for batch_id in candidates.values_list("pk", flat=True):
            if Batch.objects.filter(pk=batch_id, state=state).update(state=end, ended_at=Now()):
                ended += 1
                batch_ended.send(sender=Batch, batch_id=batch_id)
    return ended


def close_when_last_job_ended(sender: object, *, job_id: int, **_: object) -> None:
    """Receiver of `job_ended`: the batch need not wait for the clock."""
    batch_id = Job.objects.filter(pk=job_id).values_list("batch_id", flat=True).first()
    if batch_id is not None:
        close_ended_batches([batch_id])


def reopen(batch_id: int | None) -> None:
    """A batch with a job that runs again is running again. Does nothing for None or a batch that has not ended."""
    if batch_id is not None:
        ended = Batch.objects.filter(pk=batch_id, state__in=(BatchState.DONE, BatchState.CANCELLED))
        ended.update(state=BatchState.RUNNING, ended_at=None)


def totals(batch: Batch) -> BatchTotals:
    """Sums of all counters over the jobs. One query."""
    sums = Job.objects.filter(batch=batch).aggregate(**{name: Sum(name) for name in TOTALS})
    return BatchTotals(**{name: sums[name] or 0 for name in TOTALS})
