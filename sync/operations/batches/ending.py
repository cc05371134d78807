"""How a batch ends: its last job is seen to end, and with auto-advance the next one starts in the same transaction."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, replace

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from opsconsole import audit, scope
from opsconsole.clock.asking import Questions
from opsconsole.errors import ConsoleError
from opsconsole.words import counted
from sync.batch_sums import summed
from sync.models import Batch, BatchOrder, BatchRelation, BatchState, Job, JobState
from sync.models.states import ACTIVE_STATES
from sync.operations.batches.options import options_of
from sync.operations.batches.pacing import advance, advance_running, problems_of
from sync.operations.batches.plan import contents_of, plan_of
from sync.operations.batches.selection import Origin, choose, count_staged_tasks
from sync.operations.batches.start import queue_plan
from sync.signals import batch_ended

logger = logging.getLogger(__name__)

ENDS = {
    BatchState.RUNNING: BatchState.DONE,
    BatchState.PAUSED: BatchState.DONE,
    BatchState.CANCELLING: BatchState.CANCELLED,
}
UNDER_WAY = Questions(batches=lambda now: Batch.objects.filter(state__in=ENDS))


def keep_batches_moving() -> None:
    """The clock's round: release, stop, end, advance. Whatever a crash left half done is done here. One statement where
    no batch is under way."""
    if not UNDER_WAY.any():
        return
    advance_running()
    _cancel_the_rest()
    close_ended_batches()


def _cancel_the_rest() -> None:
    """Jobs of a batch that is being cancelled which came back to wait: retried by hand, or given back by a worker."""
    Job.objects.filter(batch__state=BatchState.CANCELLING).cancel_waiting()


@scope.lifted()
def close_ended_batches(batch_ids: Sequence[int] | None = None) -> int:
    """End every batch (of `batch_ids`, where given) that has no active job left. Returns how many ended.

    A paused one that would start the next stays paused: whoever paused it paused the chain.
    """
    active = Job.objects.filter(batch=OuterRef("pk"), state__in=ACTIVE_STATES)
    candidates = Batch.objects.filter(state__in=ENDS).exclude(Exists(active))
    candidates = candidates.exclude(Q(state=BatchState.PAUSED, auto_advance=True)).order_by("pk")
    if batch_ids is not None:
        candidates = candidates.filter(pk__in=batch_ids)
    return sum(_close(batch) for batch in list(candidates))


def _close(seen: Batch) -> bool:
    if seen.auto_advance and seen.state == BatchState.RUNNING:
        _count_ahead(seen)
    try:
        with transaction.atomic():
            batch = Batch.objects.select_for_update().filter(pk=seen.pk, state=seen.state).first()
            # Asked again under the lock: a retry may have brought a job back since.
            if batch is None or Job.objects.filter(batch=batch).active().exists():
                return False
            end = ENDS[batch.status]
            Batch.objects.filter(pk=batch.pk).update(
                state=end, ended_at=Now(), pause_reason="", summary=asdict(summed([batch.pk])[batch.pk])
            )
            if batch.auto_advance:
                _go_to_next(batch, end)
    except IntegrityError as error:  # an organization got a job in between; the clock tries again with what is left
        logger.warning("batch %d could not be followed by the next: %s", seen.pk, error)
        return False
    batch_ended.send(sender=Batch, batch_id=seen.pk)
    return True


def _count_ahead(batch: Batch) -> None:
    """Counts for the next batch, before any row is locked. Without them the uncounted come last in its order."""
    if batch.order == BatchOrder.OLDEST:
        return
    try:
        count_staged_tasks(options_of(batch))
    except ConsoleError as error:
        logger.warning("the organizations after batch %d were not counted: %s", batch.pk, error)


def _go_to_next(batch: Batch, end: BatchState) -> None:
    """Start the next batch, or end the chain for good and say why. The caller's transaction holds the batch's row."""
    if Batch.objects.filter(previous=batch, relation=BatchRelation.ADVANCED).exists():
        return  # it was retried after the next one had started
    why_not = _why_not(batch, end) or _start_next(batch)
    if why_not:
        Batch.objects.filter(pk=batch.pk).update(auto_advance=False)
        audit.record(audit.CLOCK, "batch.chain_ended", f"batch:{batch.pk}", reason=why_not, trace_id=batch.trace_id)


def _why_not(batch: Batch, end: BatchState) -> str:
    if end is BatchState.CANCELLED:
        return "The batch was cancelled."
    problems, stop = problems_of(batch) - batch.failures_accepted, batch.stop_after_failures
    if stop is not None and problems >= stop:
        return f"{counted(problems, 'job')} failed or looped; the chain was to stop at {stop:,}."
    if not Job.objects.filter(batch=batch, state=JobState.DONE).exists():
        return "Not one job of the batch succeeded."
    return ""


def _start_next(batch: Batch) -> str:
    """Returns why there is no next one; empty where it was started. It has no canary: this batch was let through."""
    options = replace(options_of(batch), canary=0)
    origin = Origin(previous=batch.pk, relation=BatchRelation.ADVANCED)
    selection = choose(options, origin, lock=True)
    if not selection.names:
        return "No more staged organizations are ready."
    plan = plan_of(options, origin, selection, audit.CLOCK)
    queue_plan(plan, contents_of(plan), selection, audit.CLOCK, reason=f"Batch {batch.pk} ended.")
    return ""


def close_when_last_job_ended(sender: object, *, job_ids: Sequence[int], **_: object) -> None:
    """Receiver of `jobs_ended`: their batches need not wait for the clock to go on, to stop or to end."""
    batches = Job.objects.filter(pk__in=job_ids, batch__isnull=False).order_by("batch_id")
    batch_ids = list(batches.values_list("batch_id", flat=True).distinct())
    for batch_id in batch_ids:
        advance(batch_id)
    if batch_ids:
        close_ended_batches(batch_ids)


@scope.lifted()
def reopen(batch_id: int | None) -> None:
    """A batch with a job that runs again is running again. Call it in the transaction, before the job's row is touched.

    Holds the batch's row, so that nobody ends it meanwhile. Does nothing for None or a batch that has not ended.
    """
    if batch_id is not None:
        batch = Batch.objects.select_for_update().filter(pk=batch_id).first()
        if batch is not None and batch.status.terminal:
            Batch.objects.filter(pk=batch_id).update(state=BatchState.RUNNING, ended_at=None, summary=None)
