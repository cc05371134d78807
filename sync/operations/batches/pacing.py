"""How fast a batch goes: so many at once, a canary first, a stop when too many fail.

Releasing is safe to repeat and safe beside another caller: whoever decides holds the batch's row.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Sum

from opsconsole import audit, scope
from opsconsole.errors import UsageError
from opsconsole.words import counted
from sync import queueing
from sync.models import Batch, BatchState, EventLevel, Job, JobState
from sync.models.states import ACTIVE_STATES, CLAIMABLE_STATES, PROBLEM_STATES
from sync.models.transitions import JobQuerySet
from sync.operations.batches.start import note

UNDER_WAY_STATES = tuple(state for state in ACTIVE_STATES if state is not JobState.PLANNED)
"""What counts against `most_at_once`. A job that waits to retry does: what made it fail may make others fail too."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The pace that was asked for. `in_canary`: there is one, and nobody has said go yet."""

    most_at_once: int | None
    stop_after_failures: int | None
    in_canary: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """Jobs of a batch: `under_way` in the queue or with a worker, `problems` failed or looping and not accepted."""

    held_back: bool
    under_way: int
    problems: int
    canary_open: bool


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next: release up to `room` jobs (None: all there are), or stop, or ask about the canary."""

    room: int | None = 0
    stop: bool = False
    ask: bool = False


def next_step(limits: Limits, standing: Standing) -> Step:
    """Pure. A batch with nothing left to stop is not stopped: it ends."""
    stop = limits.stop_after_failures
    if stop is not None and standing.problems >= stop and (standing.held_back or standing.under_way):
        return Step(stop=True)
    if not standing.held_back:
        return Step()
    if limits.in_canary and not standing.canary_open:
        return Step(ask=True)
    if limits.most_at_once is None:
        return Step(room=None)
    return Step(room=max(limits.most_at_once - standing.under_way, 0))


@scope.lifted()
def advance(batch_id: int) -> int:
    """Release what the pace allows now, or pause the batch where it says so. Returns how many jobs were queued.

    Does nothing for a batch that is not running. Two queries where there is nothing to decide.
    """
    if not _to_decide().filter(pk=batch_id).exists():
        return 0
    with transaction.atomic():
        batch = Batch.objects.select_for_update().filter(pk=batch_id, state=BatchState.RUNNING).first()
        if batch is None:
            return 0
        step = next_step(_limits(batch), _standing(batch))
        if step.stop:
            hold(batch, _stopped(batch), audit.CLOCK)
        elif step.ask:
            hold(batch, _canary_question(batch), audit.CLOCK)
        return 0 if step.room == 0 else _release(batch, step.room)


def advance_running() -> int:
    """The clock's round over all batches that hold jobs back or may have to stop. Returns how many jobs were queued."""
    return sum(advance(number) for number in _to_decide().order_by("pk").values_list("pk", flat=True))


def _to_decide() -> QuerySet[Batch]:
    held_back = Job.objects.filter(batch=OuterRef("pk"), state=JobState.PLANNED)
    return Batch.objects.filter(Q(stop_after_failures__isnull=False) | Exists(held_back), state=BatchState.RUNNING)


def _limits(batch: Batch) -> Limits:
    return Limits(batch.most_at_once, batch.stop_after_failures, bool(batch.canary) and not batch.canary_passed)


def _standing(batch: Batch) -> Standing:
    jobs = Job.objects.filter(batch=batch)
    return Standing(
        held_back=jobs.filter(state=JobState.PLANNED).exists(),
        under_way=jobs.filter(state__in=UNDER_WAY_STATES).count(),
        problems=problems_of(batch) - batch.failures_accepted,
        canary_open=canary_jobs(batch).active().exists(),
    )


def problems_of(batch: Batch) -> int:
    return Job.objects.filter(batch=batch, state__in=PROBLEM_STATES).count()


def canary_jobs(batch: Batch) -> JobQuerySet:
    """The first jobs of the batch, as many as the canary has; all of them where it has no canary."""
    jobs = Job.objects.filter(batch=batch)
    if not batch.canary:
        return jobs
    last = jobs.order_by("pk").values_list("pk", flat=True)[batch.canary - 1 : batch.canary]
    number = next(iter(last), None)
    return jobs if number is None else jobs.filter(pk__lte=number)


def awaits_go(batch: Batch) -> bool:
    """Whether the batch is paused because its canary has ended and nobody has said go. Two queries at most."""
    paused = batch.state == BatchState.PAUSED and bool(batch.canary) and not batch.canary_passed
    return paused and not canary_jobs(batch).active().exists()


def _release(batch: Batch, room: int | None) -> int:
    """Queue held back jobs, the first ones first. The caller holds the batch's row."""
    in_canary = _limits(batch).in_canary
    candidates = canary_jobs(batch) if in_canary else Job.objects.filter(batch=batch)
    planned = candidates.filter(state=JobState.PLANNED).order_by("pk")
    jobs = list(planned.only("kind").select_for_update(skip_locked=True)[:room])
    numbers = [job.pk for job in jobs]
    released = Job.objects.filter(pk__in=numbers).release()
    note(numbers, f"Queued by batch {batch.pk}.")
    queueing.enqueue_after_commit(jobs)
    return released


def hold(batch: Batch, reason: str, actor: audit.Actor) -> tuple[int, int]:
    """Pause a running batch whose row the caller holds. Returns how many jobs were held back, and how many were asked
    to pause at their next chunk."""
    jobs = lock_active(batch)
    waiting = [number for number, state in jobs if state in CLAIMABLE_STATES]
    running = [number for number, state in jobs if state == JobState.RUNNING]
    held, asked = (
        Job.objects.filter(pk__in=waiting).hold_back_waiting(),
        Job.objects.filter(pk__in=running).ask_to_pause(),
    )
    note(waiting, f"Held back, the batch is paused. {reason}")
    note(running, f"Asked to pause at the next chunk, with the batch. {reason}", EventLevel.WARNING)
    Batch.objects.filter(pk=batch.pk).update(state=BatchState.PAUSED, pause_reason=reason)
    audit.record(
        actor,
        "batch.paused",
        f"batch:{batch.pk}",
        reason=reason,
        trace_id=batch.trace_id,
        held_back=held,
        asked=asked,
    )
    return held, asked


def lock_active(batch: Batch) -> list[tuple[int, str]]:
    """Number and state of each active job, locked until the transaction ends.

    Without the locks a job could go from one state to another between two updates, and be met by neither of them.
    """
    active = Job.objects.filter(batch=batch).active().order_by("pk")
    return list(active.select_for_update().values_list("pk", "state"))


def locked_batch(batch: Batch, *states: BatchState, to: str) -> Batch:
    """The batch, its row held, in one of `states`. Raises UsageError saying that it cannot be brought `to` do that."""
    locked = Batch.objects.select_for_update().get(pk=batch.pk)
    if locked.status not in states:
        allowed = " or ".join(state.label.lower() for state in states)
        raise UsageError(f"Batch {batch.pk} is {locked.status.label.lower()}; only one that is {allowed} can be {to}.")
    return locked


def _stopped(batch: Batch) -> str:
    problems, accepted = problems_of(batch), batch.failures_accepted
    since = f", {problems - accepted:,} of them since it was let go on" if accepted else ""
    failed, most = counted(problems, "job"), batch.stop_after_failures
    return f"Stopped: {failed} failed or looped{since}; the batch was to stop at {most:,}."


def _canary_question(batch: Batch) -> str:
    sums = canary_jobs(batch).aggregate(
        jobs=Count("pk"),
        done=Count("pk", filter=Q(state=JobState.DONE)),
        drift=Sum(F("stale") + F("missing") + F("orphan")),
        unresolved=Sum("unresolved"),
    )
    unresolved = f", {sums['unresolved']:,} unresolved" if sums["unresolved"] else ""
    return (
        f"Canary of {sums['jobs']:,} ended: {sums['done']:,} done, {sums['jobs'] - sums['done']:,} not; "
        f"{counted(sums['drift'] or 0, 'task')} out of sync{unresolved}. Go on?"
    )
