"""What a person does to a batch under way: pause, resume, go, cancel, retry what failed."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef

from opsconsole import audit
from opsconsole.errors import UsageError
from sync import queueing
from sync.models import Batch, BatchState, EventLevel, Job, JobState, Step
from sync.models.states import ACTIVE_STATES, ORGANIZATION_KINDS, UNSUCCESSFUL_STATES, WAITING_STATES
from sync.operations.batches.ending import close_ended_batches, reopen
from sync.operations.batches.pacing import advance, awaits_go, hold, lock_active, locked_batch, problems_of
from sync.operations.batches.start import note
from sync.operations.ladder import ask

LIVE_STATES = (BatchState.RUNNING, BatchState.PAUSED)


@dataclass(frozen=True, slots=True)
class RetryResult:
    """How many jobs will run again, and how many were left out because their organization has another active job."""

    retried: int
    left_out: int


def pause(batch: Batch, actor: audit.Actor, reason: str) -> tuple[int, int]:
    """Hold back what waits, and ask running jobs to pause at their next chunk. Returns (held back, asked).

    Raises UsageError where the batch is not running.
    """
    with transaction.atomic():
        locked = locked_batch(batch, BatchState.RUNNING, to="paused")
        return hold(locked, f"Paused by {actor.name}: {reason}", actor)


def resume(batch: Batch, actor: audit.Actor, reason: str = "") -> int:
    """Let a paused batch go on; failures so far count no more against its stop. Returns how many jobs were queued.

    Raises UsageError where it is not paused, or waits for a go.
    """
    with transaction.atomic():
        locked = locked_batch(batch, BatchState.PAUSED, to="resumed")
        if awaits_go(locked):
            raise UsageError(f"Batch {batch.pk} waits after its canary; say go, or cancel it.")
        _let_go_on(locked, canary_passed=locked.canary_passed)
        audit.record(actor, "batch.resumed", f"batch:{batch.pk}", reason=reason, trace_id=batch.trace_id)
    return _move(batch)


def go(batch: Batch, actor: audit.Actor, reason: str = "") -> int:
    """The canary is good: release the others. Returns how many jobs were queued. Raises UsageError."""
    with transaction.atomic():
        locked = locked_batch(batch, BatchState.PAUSED, to="given a go")
        if not awaits_go(locked):
            raise UsageError(f"Batch {batch.pk} does not wait after a canary; resume it, if it is to go on.")
        _let_go_on(locked, canary_passed=True)
        audit.record(actor, "batch.canary_passed", f"batch:{batch.pk}", reason=reason, trace_id=batch.trace_id)
    return _move(batch)


def _let_go_on(batch: Batch, *, canary_passed: bool) -> None:
    Batch.objects.filter(pk=batch.pk).update(
        state=BatchState.RUNNING,
        pause_reason="",
        canary_passed=canary_passed,
        failures_accepted=problems_of(batch),
    )
    Job.objects.filter(batch=batch).go_on()


def _move(batch: Batch) -> int:
    released = advance(batch.pk)
    close_ended_batches([batch.pk])
    return released


def cancel_batch(batch: Batch, actor: audit.Actor, reason: str) -> tuple[int, int]:
    """Cancel what waits at once and ask the rest to stop at the next chunk. Returns (cancelled, asked).

    The batch is `cancelling` until the last of them is seen to end. Raises UsageError where it is not under way.
    """
    with transaction.atomic():
        locked_batch(batch, *LIVE_STATES, to="cancelled")
        active = lock_active(batch)
        waiting = [number for number, state in active if state in WAITING_STATES]
        held = [number for number, state in active if state in (JobState.RUNNING, JobState.PAUSING)]
        cancelled = Job.objects.filter(pk__in=waiting).cancel_waiting()
        asked = len(ask(held, Step.CANCEL, actor.name, reason))
        note(waiting, f"Cancelled with its batch by {actor.name}: {reason}", EventLevel.WARNING)
        note(held, f"Asked to stop at the next chunk, with its batch, by {actor.name}: {reason}", EventLevel.WARNING)
        Batch.objects.filter(pk=batch.pk).update(state=BatchState.CANCELLING, pause_reason="")
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


def retry_failed(batch: Batch, actor: audit.Actor, reason: str = "") -> RetryResult:
    """Run failed, looping and cancelled jobs of the batch again, from their checkpoints, at the batch's pace.

    Those of a paused batch wait until it is resumed. Raises UsageError where there are none, or the batch is being
    cancelled; UnavailableError without Redis.
    """
    queueing.require_reachable()
    try:
        with transaction.atomic():
            result = _retry(batch, actor, reason)
    except IntegrityError as error:
        if "one_active_job_per_organization" not in str(error):
            raise
        raise UsageError("An organization was given another job meanwhile; nothing was queued. Try again.") from error
    advance(batch.pk)
    return result


def _retry(batch: Batch, actor: audit.Actor, reason: str) -> RetryResult:
    locked = locked_batch(batch, *LIVE_STATES, BatchState.DONE, BatchState.CANCELLED, to="retried")
    ended = Job.objects.filter(batch=batch, state__in=UNSUCCESSFUL_STATES)
    busy = Job.objects.filter(
        kind__in=ORGANIZATION_KINDS, state__in=ACTIVE_STATES, organization_id=OuterRef("organization_id")
    )
    free = ended.exclude(Exists(busy)).order_by("pk").select_for_update(of=("self",))
    numbers = list(free.values_list("pk", flat=True))
    left_out = ended.count() - len(numbers)
    if not numbers:
        raise UsageError(_nothing_to_retry(batch, left_out))
    reopen(batch.pk)
    Batch.objects.filter(pk=batch.pk).update(failures_accepted=0)
    Job.objects.filter(pk__in=numbers).plan_again()
    waits = " when the batch is resumed" if locked.status is BatchState.PAUSED else ""
    note(numbers, f"To run again{waits}, by {actor.name}.")
    audit.record(
        actor,
        "batch.retried",
        f"batch:{batch.pk}",
        reason=reason,
        trace_id=batch.trace_id,
        retried=len(numbers),
        left_out=left_out,
    )
    return RetryResult(len(numbers), left_out)


def _nothing_to_retry(batch: Batch, left_out: int) -> str:
    if left_out:
        return f"All {left_out:,} failed jobs of batch {batch.pk} have an organization with another active job."
    return f"No job of batch {batch.pk} failed, looped or was cancelled; there is nothing to retry."
