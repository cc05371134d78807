"""Attempts that end without a word: killed, or silent for too long. Shared by the worker's parent and the clock."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, replace

from django.db import transaction

from sync.ending import end_attempt, end_cancelled, leave_range, lock_held, say, stopped_looping
from sync.models import AttemptOutcome, EventLevel, Job, JobRange, JobState
from sync.models.states import HELD_STATES
from sync.queueing import HELP_FUNCTION, JOB_FUNCTION, enqueue_after_commit


@dataclass(frozen=True, slots=True)
class BadEnd:
    """An attempt that ended without its own word: killed, or silent for too long."""

    outcome: AttemptOutcome
    sentence: str
    peak_memory: int | None = None


def recover(job: Job, end: BadEnd) -> None:
    """An attempt is gone without a word: queue the job again from its checkpoint, or stop it where it loops."""
    with transaction.atomic():
        if locked := lock_held(job):
            _recover(locked, end)


def recover_silent(job: Job, end: BadEnd, *, seconds: float) -> bool:
    """Recover a job that has been silent for so long, and still is once its row is locked. False where it was not.

    Does not wait for the row: who has it locked may stand still, and the clock has other jobs to see to.
    """
    with transaction.atomic():
        silent = Job.objects.silent_for(seconds).filter(pk=job.pk, fence=job.fence)
        locked = silent.select_for_update(skip_locked=True).first()
        if locked is None:
            return False
        _recover(locked, end)
        return True


def _recover(locked: Job, end: BadEnd) -> None:
    end_attempt(locked, end.outcome, error=end.sentence, peak_memory=end.peak_memory)
    if locked.status is JobState.CANCELLING:
        end_cancelled(locked, f"{end.sentence} It was being cancelled: cancelled.")
    elif locked.status is JobState.PAUSING:
        Job.objects.hold_back(locked.pk, locked.fence)
        say(locked, f"{end.sentence} It was being paused: held back.")
    elif not stopped_looping(locked, end.sentence, stalled=locked.stalled_attempts + 1):
        Job.objects.give_back(locked.pk, locked.fence, stalled_attempts=locked.stalled_attempts + 1)
        say(locked, f"{end.sentence} Queued again from its checkpoint.", EventLevel.WARNING)
        enqueue_after_commit([locked])


def recover_range(part: JobRange, end: BadEnd) -> None:
    """A worker is gone without a word: its range, given with its job, waits again, with its checkpoint. What follows
    for the job, where that worker led it, is `recover`'s to say."""
    with transaction.atomic():
        if leave_range(part, end.outcome, error=end.sentence, peak_memory=end.peak_memory, badly=True):
            sentence = f"Range {part.number}: {end.sentence} Another worker goes on from its checkpoint."
            say(part.job, sentence, EventLevel.WARNING)


def record_killed_horse(
    sender: object,
    *,
    worker: str,
    function: str,
    wait_status: int | None,
    peak_memory: int | None,
    **_: object,
) -> None:
    """Receiver of `work_horse_killed`: the parent saw its child die, so nobody need wait for the heartbeat to age."""
    if function not in (JOB_FUNCTION, HELP_FUNCTION):
        return
    end = BadEnd(AttemptOutcome.KILLED, describe_wait_status(wait_status), peak_memory)
    # Whatever this worker holds was its child's: the job that RQ named, those of the sweep behind it, or a range.
    for part in JobRange.objects.running().filter(worker=worker).select_related("job").order_by("pk"):
        recover_range(part, end)
    for job in Job.objects.filter(worker=worker, state__in=HELD_STATES).order_by("pk"):
        asked = describe_wait_status(wait_status, asked=True)
        recover(job, replace(end, sentence=asked) if job.status is JobState.CANCELLING else end)


def describe_wait_status(status: int | None, *, asked: bool = False) -> str:
    """How a child ended, by what the kernel told its parent. `asked`: somebody wanted it to end."""
    if status is not None and os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        hint = " (by the kernel, when memory runs out)" if name == "SIGKILL" and not asked else ""
        return f"The worker's process was killed by {name}{hint}."
    code = os.waitstatus_to_exitcode(status) if status is not None else "unknown"
    return f"The worker's process ended with exit status {code} before the job was done."
