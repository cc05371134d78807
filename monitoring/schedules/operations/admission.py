"""Whether a run may begin: chains wait for those they name, and a run that would overlap does what its job says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Case, F, Max, Q, TextField, Value, When
from django.db.models.functions import Now

from monitoring.schedules.models import ACTIVE_RUNS, Overlap, Run, RunState, ScheduledJob, Trigger

LEFT_OUT = (RunState.COALESCED, RunState.SKIPPED)
"""Due times that nobody need wait for: a later run stands for them, or nobody wanted them."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """A job that another waits for: the due time that must have succeeded (None: none so far), and the last that
    did."""

    awaited: datetime | None
    done: datetime | None

    @property
    def met(self) -> bool:
        return self.awaited is None or (self.done is not None and self.done >= self.awaited)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state that a run gets, and why where it does not begin."""

    state: RunState
    cause: str = ""


BEGIN = Verdict(RunState.QUEUED)


def judge(overlap: Overlap, *, overlapping: bool, upstream: Mapping[str, Upstream]) -> Verdict:
    """Whether a run begins, waits, or is skipped. Pure."""
    if overlapping and overlap is Overlap.SKIP:
        return Verdict(RunState.SKIPPED, "The run before it was still under way.")
    if unmet := [name for name, one in upstream.items() if not one.met]:
        return Verdict(RunState.WAITING, f"Waits until {' and '.join(unmet)} succeeded.")
    if overlapping and overlap is Overlap.QUEUE:
        return Verdict(RunState.WAITING, "Waits for the run before it.")
    return BEGIN


def admit(runs: Sequence[Run]) -> list[Run]:
    """Let those of the runs begin that may, and set the others aside with the reason; returns those that may.

    Inside the transaction that will queue them. One query for overlaps, three for each run of a chain, one for each
    reason.
    """
    earlier = _active(runs)
    by_verdict: dict[Verdict, list[Run]] = defaultdict(list)
    for run in runs:
        overlapping = any(other < (run.due_at, run.pk) for other in earlier[run.scheduled_job_id])
        upstream = {name: _upstream(name, run.due_at) for name in run.scheduled_job.after}
        by_verdict[judge(_overlap_of(run), overlapping=overlapping, upstream=upstream)].append(run)
    for verdict, its_runs in by_verdict.items():
        _give(verdict, its_runs)
    return by_verdict[BEGIN]


def _overlap_of(run: Run) -> Overlap:
    """What is caught up or asked for is not dropped for being the second: it waits for its turn."""
    overlap = Overlap(run.scheduled_job.overlap)
    return Overlap.QUEUE if overlap is Overlap.SKIP and run.trigger != Trigger.DUE else overlap


def _active(runs: Sequence[Run]) -> Mapping[int, list[tuple[datetime, int]]]:
    """The runs under way or waiting of each job that minds overlaps, by due time and number."""
    jobs = {run.scheduled_job_id for run in runs if run.scheduled_job.overlap != Overlap.ALLOW}
    found: dict[int, list[tuple[datetime, int]]] = defaultdict(list)
    if jobs:
        active = Run.objects.filter(scheduled_job__in=jobs, state__in=ACTIVE_RUNS)
        for job_id, due_at, number in active.values_list("scheduled_job_id", "due_at", "pk"):
            found[job_id].append((due_at, number))
    return found


def _upstream(name: str, due_at: datetime) -> Upstream:
    """How the job `name` stands for a run due at `due_at`. A name that is no job any more holds nobody up."""
    job = ScheduledJob.objects.filter(name=name).only("next_due", "enabled").first()
    if job is None:
        return Upstream(None, None)
    found = Run.objects.filter(scheduled_job=job).aggregate(
        awaited=Max("due_at", filter=Q(due_at__lte=due_at) & ~Q(state__in=LEFT_OUT)),
        done=Max("due_at", filter=Q(state=RunState.DONE)),
    )
    awaited = found["awaited"]
    if job.enabled and job.next_due is not None and job.next_due <= due_at:
        awaited = job.next_due  # due as well, and its row only not written yet
    return Upstream(awaited, found["done"])


def _give(verdict: Verdict, runs: Sequence[Run]) -> None:
    numbers = [run.pk for run in runs]
    rows = Run.objects.filter(pk__in=numbers, state__in=(RunState.QUEUED, RunState.WAITING))
    if verdict.state is RunState.QUEUED:
        waited_for = Case(When(state=RunState.WAITING, then=Value("", TextField())), default=F("cause"))
        rows.update(state=verdict.state, enqueued_at=Now(), cause=waited_for)
    elif verdict.state is RunState.SKIPPED:
        rows.update(state=verdict.state, cause=verdict.cause, ended_at=Now())
    else:
        rows.update(state=verdict.state, cause=verdict.cause)


def release_waiting(limit: int = 500) -> int:
    """Let begin what waited and need not any more. Returns how many. The clock's duty, every few seconds."""
    from monitoring.schedules import carrying  # noqa: PLC0415

    waiting = Run.objects.filter(state=RunState.WAITING).select_related("scheduled_job")
    admitted = admit(list(waiting.select_for_update(of=("self",), skip_locked=True).order_by("due_at", "pk")[:limit]))
    carrying.enqueue_after_commit(admitted)
    return len(admitted)
