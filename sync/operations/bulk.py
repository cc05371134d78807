"""Many jobs at once: what would be changed, then end or retry them. What is answered is what the database changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from opsconsole import audit, scope
from opsconsole.errors import UsageError
from opsconsole.keyset import CappedCount, capped_count
from opsconsole.scoping import require_all_seen
from opsconsole.words import counted
from sync import queueing
from sync.models import Batch, BatchState, Job, JobState, Step
from sync.models.states import ACTIVE_STATES, HELD_STATES, ORGANIZATION_KINDS, UNSUCCESSFUL_STATES
from sync.operations.batches import advance, close_ended_batches, reopen
from sync.operations.batches.pacing import problems_of
from sync.operations.batches.start import note
from sync.operations.jobs import RETRYABLE
from sync.operations.ladder import Climbed, Target, climb_all

MOST = 1_000
"""Jobs at once: one statement, one audit row, and a number that a person can still have meant."""

SAMPLE = 10
CANCELLABLE = tuple(state for state in ACTIVE_STATES if state is not JobState.CANCELLING)


class Act(StrEnum):
    """What can be done to many jobs."""

    CANCEL = "cancel"
    STOP = "stop"
    KILL = "kill"
    RETRY = "retry"
    SKIP = "skip"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Selection:
    """The jobs that an act would take, newest first, at most MOST; `more`: there are others that it could take too.

    `states` counts them by state; `organizations` has the first few as (id, name); `left_out` those it cannot take.
    """

    jobs: tuple[Target, ...]
    states: tuple[tuple[JobState, int], ...]
    organizations: tuple[tuple[str, str], ...]
    organization_total: int
    left_out: CappedCount
    more: bool


FITTING = {
    Act.CANCEL: Q(state__in=CANCELLABLE),
    Act.STOP: Q(state__in=HELD_STATES),
    Act.KILL: Q(state__in=HELD_STATES),
    Act.RETRY: Q(state__in=RETRYABLE),
    Act.SKIP: ~Q(organization_id=""),
    Act.DELETE: ~Q(state__in=ACTIVE_STATES),
}
"""The jobs that an act can do something to."""


def select(act: Act, jobs: QuerySet[Job]) -> Selection:
    """What `act` would take of `jobs`. Two queries, each bounded by MOST."""
    possible = jobs.filter(FITTING[act])
    columns = ("pk", "fence", "state", "organization_id", "organization_name")
    rows = list(possible.order_by("-pk").values_list(*columns)[: MOST + 1])
    taken = rows[:MOST]
    counts = Counter(state for _, _, state, _, _ in taken)
    names = {organization: name for *_, organization, name in reversed(taken) if organization}
    return Selection(
        jobs=tuple(Target(number, fence) for number, fence, *_ in taken),
        states=tuple((state, counts[state]) for state in JobState if counts[state]),
        organizations=tuple(names.items())[:SAMPLE],
        organization_total=len(names),
        left_out=capped_count(jobs.exclude(FITTING[act]), MOST),
        more=len(rows) > MOST,
    )


@dataclass(frozen=True, slots=True)
class RetriedJobs:
    """`busy`: their organization has another active job; `closing`: their batch is being cancelled; `unchanged`: they
    could not be retried any more. `waiting` of the retried are jobs of a paused batch."""

    retried: int
    waiting: int
    busy: int
    closing: int
    unchanged: int

    def sentence(self) -> str:
        parts = [f"{counted(self.retried, 'job')} queued again, each from its checkpoint, those of a batch at its pace"]
        for count, why in (
            (self.waiting, "of them wait until their batch is resumed"),
            (self.busy, "left out, their organization has another active job"),
            (self.closing, "left out, their batch is being cancelled"),
            (self.unchanged, "left out, they run or have succeeded meanwhile"),
        ):
            parts += [f"{count:,} {why}"] if count else []
        return "; ".join(parts) + "."


def require_few(job_ids: Collection[object]) -> None:
    """Raises UsageError above MOST jobs, or for none."""
    if not job_ids:
        raise UsageError("No job was chosen; nothing was changed.")
    if len(job_ids) > MOST:
        raise UsageError(f"{len(job_ids):,} jobs are too many at once; allowed are {MOST:,}. Nothing was changed.")


def require_seen(job_ids: Iterable[int]) -> None:
    """For whoever is limited: all of these jobs are theirs to see. One query then. Raises OutsideScopeError."""
    require_all_seen(Job.objects.all(), job_ids, "jobs")


def climb_jobs(targets: Sequence[Target], step: Step, actor: audit.Actor, reason: str) -> Climbed:
    """Take a step of the ladder on jobs: those that wait are cancelled at once. Raises UsageError."""
    require_few(targets)
    require_seen(target.job for target in targets)
    climbed = climb_all(targets, step, actor, reason)
    move(climbed.batches)
    return climbed


def lock_jobs(job_ids: Iterable[int]) -> list[Job]:
    """The jobs with what an act needs to know of them, locked in the order of their numbers."""
    jobs = Job.objects.filter(pk__in=job_ids).order_by("pk").select_for_update()
    return list(jobs.only("kind", "state", "fence", "batch_id", "organization_id", "organization_name"))


def move(batch_ids: Sequence[int]) -> None:
    """Let batches go on after their jobs were changed, or end. After the commit, like the end of a single job."""
    for number in batch_ids:
        advance(number)
    if batch_ids:
        close_ended_batches(batch_ids)


def retry_jobs(job_ids: Sequence[int], actor: audit.Actor, reason: str = "") -> RetriedJobs:
    """Run jobs again from their checkpoints. Those of a batch are held back and released at its pace; an ended batch is
    running again. Raises UsageError, and UnavailableError without Redis.
    """
    require_few(job_ids)
    require_seen(job_ids)
    queueing.require_reachable()
    try:
        # A batch with jobs that lie outside is running again, too.
        with scope.lifted(), transaction.atomic():
            result, batches = _retry(job_ids, actor, reason)
    except IntegrityError as error:
        if "one_active_job_per_organization" not in str(error):
            raise
        raise UsageError("An organization was given another job meanwhile; nothing was queued. Try again.") from error
    move(batches)
    return result


@dataclass(frozen=True, slots=True)
class _Choice:
    """`now` go into the queue at once, `planned` are held back for their batch."""

    now: list[Job]
    planned: list[Job]
    busy: int
    closing: int


def _retry(job_ids: Sequence[int], actor: audit.Actor, reason: str) -> tuple[RetriedJobs, tuple[int, ...]]:
    batches = _lock_batches(job_ids)  # before the jobs, as everybody who holds both
    locked = [job for job in lock_jobs(job_ids) if job.state in RETRYABLE]
    active = Job.objects.active_organizations({job.organization_id for job in locked if job.organization_id})
    choice = _choose(locked, active, batches)
    retried = _run_again(choice, batches, actor)
    paused = [job for job in choice.planned if _state(job, batches) is BatchState.PAUSED]
    result = RetriedJobs(
        retried=retried,
        waiting=len(paused),
        busy=choice.busy,
        closing=choice.closing,
        unchanged=len(set(job_ids)) - len(locked),
    )
    numbers = sorted(job.pk for job in (*choice.now, *choice.planned))
    left_out = choice.busy + choice.closing + result.unchanged
    audit.record(actor, "jobs.retried", "jobs", reason=reason, retried=retried, left_out=left_out, jobs=numbers)
    return result, tuple(sorted({job.batch_id for job in choice.planned if job.batch_id}))


def _lock_batches(job_ids: Sequence[int]) -> dict[int, Batch]:
    numbers = Job.objects.filter(pk__in=job_ids, batch__isnull=False).values("batch_id")
    return {batch.pk: batch for batch in Batch.objects.filter(pk__in=numbers).order_by("pk").select_for_update()}


def _state(job: Job, batches: dict[int, Batch]) -> BatchState | None:
    return batches[job.batch_id].status if job.batch_id in batches else None


def _choose(locked: Sequence[Job], active: Collection[str], batches: dict[int, Batch]) -> _Choice:
    """Pure. Of several jobs of one organization the newest runs: one at a time is allowed."""
    choice, taken, busy, closing = _Choice([], [], 0, 0), set(active), 0, 0
    for job in sorted(locked, key=lambda one: one.pk, reverse=True):
        if _state(job, batches) is BatchState.CANCELLING:
            closing += 1
        elif job.state not in UNSUCCESSFUL_STATES:
            choice.now.append(job)  # it waits to retry: it is the active one itself
        elif job.kind in ORGANIZATION_KINDS and job.organization_id in taken:
            busy += 1
        else:
            taken.add(job.organization_id)
            (choice.planned if job.batch_id else choice.now).append(job)
    return _Choice(choice.now, choice.planned, busy, closing)


def _run_again(choice: _Choice, batches: dict[int, Batch], actor: audit.Actor) -> int:
    now, planned = [job.pk for job in choice.now], [job.pk for job in choice.planned]
    for number in sorted({job.batch_id for job in choice.planned if job.batch_id}):
        reopen(number)
    retried = Job.objects.filter(pk__in=now).requeue(states=RETRYABLE)
    Job.objects.filter(pk__in=now).update(failures=0, stalled_attempts=0)
    retried += Job.objects.filter(pk__in=planned).plan_again()
    for number in {job.batch_id for job in choice.planned if job.batch_id}:
        _accept_fewer(batches[number])
    note(now, f"Queued again by {actor.name}.")
    note(planned, f"To run again at the pace of its batch, by {actor.name}.")
    queueing.enqueue_after_commit(choice.now)
    return retried


def _accept_fewer(batch: Batch) -> None:
    """Failures that were accepted and now run again count anew should they fail again."""
    if batch.failures_accepted:
        Batch.objects.filter(pk=batch.pk).update(failures_accepted=min(batch.failures_accepted, problems_of(batch)))
