"""Stop means stopped: cancel, stop, kill. Each step is a row, reaches the process on whatever machine, and is followed
until the job has ended; the clock climbs by itself where nobody does.

Cancel asks the attempt to end at its next chunk. Stop interrupts what its process waits for, at the source's and the
index's servers, too. Kill ends the process. However that goes, the job ends as cancelled: where no process answers any
more its silence decides, and the fence refuses what one may still write.
"""

from __future__ import annotations

import signal
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from opsconsole import audit, scope
from opsconsole.errors import ConsoleError, UsageError
from opsconsole.words import counted
from sync import reach, recovery
from sync.models import AttemptOutcome, EventLevel, Job, JobEvent, JobState, Step, StopStep
from sync.models.states import HELD_STATES, WAITING_STATES
from sync.recovery import BadEnd
from sync.signals import jobs_ended

CANCEL_PATIENCE = timedelta(seconds=30)
STOP_PATIENCE = timedelta(seconds=10)
KILL_PATIENCE = timedelta(seconds=30)
"""How long each step may take until the next one; after the last the row ends whatever the process does."""

SILENT_KILL_PATIENCE = timedelta(seconds=10)
"""For the word of its worker that a silent process was killed."""

PER_ROUND = 1_000
ASKED = {
    Step.CANCEL: "Asked to stop at the next chunk",
    Step.STOP: "To be interrupted",
    Step.KILL: "To be killed",
}


def ask(job_ids: Collection[int], step: Step, by: str, reason: str = "") -> list[int]:
    """Write down `step` for those of the jobs that an attempt holds; the caller has locked them. Returns their numbers.

    Running and pausing ones are cancelling from here on. A step that was asked before stays as it was.
    """
    Job.objects.filter(pk__in=job_ids).ask_to_cancel()
    held = dict(Job.objects.filter(pk__in=job_ids, state=JobState.CANCELLING).values_list("pk", "fence"))
    rows = [
        StopStep(job_id=number, attempt=fence, step=step, requested_by=by, reason=reason)
        for number, fence in sorted(held.items())
    ]
    StopStep.objects.bulk_create(rows, ignore_conflicts=True)
    return sorted(held)


@dataclass(frozen=True, slots=True)
class Target:
    """A job as somebody saw it: a later attempt is not what they meant. `fence` None: whichever there is."""

    job: int
    fence: int | None = None

    def __str__(self) -> str:
        """As a form sends it: `12:3`."""
        return str(self.job) if self.fence is None else f"{self.job}:{self.fence}"


@dataclass(frozen=True, slots=True)
class Climbed:
    """`waiting` jobs were cancelled at once; of `asked` ones the process is told, and `heard` are those where anybody
    listened; `unchanged` have ended, are stopping already, or are in another attempt than was meant. `batches` are
    those of the jobs that were changed."""

    waiting: tuple[int, ...]
    asked: tuple[int, ...]
    unchanged: int
    batches: tuple[int, ...] = ()
    heard: frozenset[int] = frozenset()

    def sentence(self, step: Step) -> str:
        asked = {Step.CANCEL: "asked to stop", Step.STOP: "interrupted", Step.KILL: "told to be killed"}[step]
        unchanged = f"; {self.unchanged:,} had ended, were stopping already or run anew" if self.unchanged else ""
        waiting, running = counted(len(self.waiting), "waiting job"), counted(len(self.asked), "running one")
        return f"{waiting} cancelled, {running} {asked}{unchanged}."


def climb(job: Job, step: Step, actor: audit.Actor, reason: str = "", *, fence: int | None = None) -> JobState:
    """Take `step` on one job: at once where no process has it. Returns the state it has now.

    What it has found stays. `fence`: the attempt that was meant. Raises UsageError where the job has ended already, or
    is in another attempt.
    """
    climbed = climb_all([Target(job.pk, fence)], step, actor, reason)
    job.refresh_from_db()
    if climbed.unchanged and fence not in (None, job.fence):
        raise UsageError(f"Job {job.pk} is in attempt {job.fence} by now; nothing was done. Look at it again.")
    if climbed.unchanged and job.status.terminal:
        raise UsageError(f"Job {job.pk} has ended already ({job.status.label.lower()}); there is nothing to {step}.")
    if climbed.waiting:
        with scope.lifted():  # whoever hears of it acts on its batch, and for everybody
            jobs_ended.send(sender=Job, job_ids=[job.pk])
    return job.status


def climb_all(targets: Sequence[Target], step: Step, actor: audit.Actor, reason: str = "") -> Climbed:
    """Take `step` on each job that is still the one that was meant. Its process hears of it after the commit."""
    fences = {target.job: target.fence for target in targets}
    with transaction.atomic():
        rows = Job.objects.filter(pk__in=fences).order_by("pk").select_for_update().defer("task_ids")
        meant = [row for row in rows if fences[row.pk] in (None, row.fence)]
        climbed = take(meant, step, actor.name, reason)
        changed = [row for row in meant if row.pk in {*climbed.waiting, *climbed.asked}]
        _audit(step, changed, climbed, actor, reason)
    climbed = replace(climbed, unchanged=len(fences) - len(changed))
    return climbed if step is Step.CANCEL else replace(climbed, heard=deliver(climbed.asked, step))


def take(locked: Sequence[Job], step: Step, by: str, reason: str = "", *, how: str = "") -> Climbed:
    """Cancel those of the jobs that wait, and ask those that run, with a line in the log of each. The caller has locked
    them, writes the audit row, and after its commit calls `deliver`. `how` goes into the log's sentence."""
    waiting = [row.pk for row in locked if row.state in WAITING_STATES]
    Job.objects.filter(pk__in=waiting).cancel_waiting()
    asked = ask([row.pk for row in locked if _can_be_asked(row, step)], step, by, reason)
    changed = [row for row in locked if row.pk in {*waiting, *asked}]
    tail = f"{how} by {by}{f': {reason}' if reason else ''}."
    events = (
        JobEvent(
            job_id=row.pk,
            attempt=row.fence,
            level=EventLevel.WARNING,
            message=f"{'Cancelled' if row.pk in waiting else ASKED[step]}{tail}",
        )
        for row in changed
    )
    JobEvent.objects.bulk_create(events)
    batches = tuple(sorted({row.batch_id for row in changed if row.batch_id}))
    return Climbed(tuple(waiting), tuple(asked), len(locked) - len(changed), batches)


def _can_be_asked(job: Job, step: Step) -> bool:
    """Cancelling is asked once; the steps above it again and again, since their signal may have been lost."""
    return job.state in HELD_STATES and not (step is Step.CANCEL and job.state == JobState.CANCELLING)


def _audit(step: Step, changed: Sequence[Job], climbed: Climbed, actor: audit.Actor, reason: str) -> None:
    if len(changed) == 1:
        job = changed[0]
        audit.record(actor, f"job.{step.done}", f"job:{job.pk}", reason=reason, trace_id=job.trace_id)
    elif changed:
        audit.record(
            actor,
            f"jobs.{step.done}",
            "jobs",
            reason=reason,
            cancelled=len(climbed.waiting),
            asked=len(climbed.asked),
            jobs=[job.pk for job in changed],
        )


def deliver(job_ids: Sequence[int], step: Step) -> frozenset[int]:
    """Tell the processes of these jobs, and end their statements at source and index. Returns the jobs of which anybody
    listened.

    Slow where a server is away: a few seconds. Never fails for that: what could not be reached is in the evidence.
    """
    heard = set()
    for job in Job.objects.filter(pk__in=job_ids, state=JobState.CANCELLING).order_by("pk"):
        processes = reach.processes_of(job)
        reached = [reach.send(process, step) for process in processes]
        asked = StopStep.objects.filter(job=job, attempt=job.fence, step=step)
        for one in reached:
            asked.add_evidence(one.sentence)
        if any(one.somebody for one in reached):
            heard.add(job.pk)
        for sentence in _cancel_statements(processes):
            asked.add_evidence(sentence)
    return frozenset(heard)


def _cancel_statements(processes: Sequence[reach.Process]) -> list[str]:
    try:
        return reach.cancel_statements(processes)
    except ConsoleError as error:  # the estate itself cannot be read
        return [f"Its statements could not be cancelled: {error}"]


class Move(StrEnum):
    """What the clock does about a job that is being cancelled."""

    WAIT = "wait"
    STOP = "stop"
    KILL = "kill"
    END = "end"


@dataclass(frozen=True, slots=True)
class Situation:
    """A job that is being cancelled: the highest step asked, since when, whether its process is silent, and whether it
    is known to be gone."""

    step: Step
    since: timedelta
    silent: bool
    gone: bool


def decide(now: Situation) -> Move:
    """What comes next. Pure. A silent process answers no interrupt, so it is killed at once."""
    if now.step is Step.KILL:
        patience = SILENT_KILL_PATIENCE if now.silent else KILL_PATIENCE
        return Move.END if (now.silent and now.gone) or now.since >= patience else Move.WAIT
    if now.silent:
        return Move.KILL
    if now.step is Step.CANCEL:
        return Move.STOP if now.since >= CANCEL_PATIENCE else Move.WAIT
    return Move.KILL if now.since >= STOP_PATIENCE else Move.WAIT


def climb_stuck_jobs(silence: timedelta) -> int:
    """The clock's round: the next step for every job that does not end although it was asked. Returns how many moved.

    `silence`: without a heartbeat for so long a process counts as silent.
    """
    stuck = Job.objects.filter(state=JobState.CANCELLING).annotate(now=Now()).order_by("pk").defer("task_ids")
    jobs = list(stuck[:PER_ROUND])
    steps = _highest_steps(jobs)
    return sum(_move(job, _situation(job, steps.get(job.pk), silence)) for job in jobs)


def _highest_steps(jobs: Sequence[Job]) -> dict[int, StopStep]:
    highest: dict[int, StopStep] = {}
    asked = StopStep.objects.open().filter(job__in=[job.pk for job in jobs], attempt=F("job__fence"))
    for step in sorted(asked, key=lambda one: one.status.rank):
        highest[step.job_id] = step
    return highest


def _situation(job: Job, asked: StopStep | None, silence: timedelta) -> Situation:
    now: datetime = vars(job)["now"]  # annotated: the clock of the database, which wrote the other times
    since = (asked.requested_at if asked else job.cancel_requested_at) or now
    beat = job.heartbeat_at or now
    step = asked.status if asked else Step.CANCEL
    processes = reach.processes_of(job) if step is Step.KILL else []
    gone = bool(processes) and all(map(reach.certainly_gone, processes))
    return Situation(step, now - since, now - beat >= silence, gone)


def _move(job: Job, situation: Situation) -> bool:
    move = decide(situation)
    if move is Move.WAIT:
        return False
    if move is Move.END:
        _end(job, situation)
        return True
    climbed = climb_all([Target(job.pk, job.fence)], Step(move.value), audit.CLOCK, _slow(situation))
    if situation.silent and climbed.asked and not climbed.heard:
        _end(job, situation)  # nobody is there who could still say how it ends
    return True


def _slow(situation: Situation) -> str:
    if situation.silent:
        return "its process fell silent"
    return f"it did not end within {situation.since.total_seconds():.0f} s of “{situation.step.label.lower()}”"


def _end(job: Job, situation: Situation) -> None:
    if situation.gone:
        sentence = f"Worker {job.worker} fell silent, and its process is not there any more."
    elif situation.silent:
        sentence = f"Worker {job.worker} fell silent, and nobody has seen its process end."
    else:
        sentence = f"Worker {job.worker} does not obey. What it still writes is refused."
    recovery.recover(job, BadEnd(AttemptOutcome.VANISHED, sentence))


def record_signal(sender: object, *, worker: str, pid: int, number: int, **_: object) -> None:
    """Receiver of `work_horse_signalled`: the owner of the process has heard."""
    step = next(step for step, sent in reach.SIGNALS.items() if sent == number)
    processes = {"job__attempts__worker": worker, "job__attempts__pid": pid}
    asked = StopStep.objects.open().filter(step=step, **processes)
    asked.acknowledge(f"{signal.Signals(number).name} was sent to process {pid} by its worker.")


def record_exit(sender: object, *, worker: str, pid: int, exit_status: int, **_: object) -> None:
    """Receiver of `work_horse_ended`: a process that was signalled has ended, as its owner saw. So has its attempt, in
    its own words."""
    asked = StopStep.objects.exclude(step=Step.CANCEL).filter(job__worker=worker, attempt=F("job__fence"))
    ours = asked.filter(job__attempts__number=F("attempt"), job__attempts__range_number=0, job__attempts__pid=pid)
    ours.add_evidence(f"Process {pid} ended with exit status {exit_status}, as its worker saw.")
