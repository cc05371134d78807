"""Ends of attempts, good and bad, and what follows for the job. Shared by the worker, its parent and the clock."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models.functions import Now

from opsconsole import audit
from sync.failures import LOOPING_AFTER, Failure, fingerprint, retry_delay
from sync.models import (
    Attempt,
    AttemptOutcome,
    EventLevel,
    Job,
    JobEvent,
    JobState,
    Phase,
    SkippedOrganization,
    SkipReason,
)
from sync.models.states import HELD_STATES
from sync.operations.workers import WorkerIdentity
from sync.queueing import JOB_FUNCTION, enqueue_after_commit
from sync.signals import job_ended, job_looping

LOOPING_ERROR = "Looping"
NO_ERROR = {"error": "", "error_type": "", "error_fingerprint": ""}


@dataclass(frozen=True, slots=True)
class BadEnd:
    """An attempt that ended without its own word: killed, or silent for too long."""

    outcome: AttemptOutcome
    sentence: str
    peak_memory: int | None = None


def end_attempt(job: Job, outcome: AttemptOutcome, *, error: str = "", peak_memory: int | None = None) -> None:
    """Close the attempt that holds `job` (by its fence), once; a second call changes nothing."""
    Attempt.objects.filter(job_id=job.pk, number=job.fence, outcome=AttemptOutcome.RUNNING).update(
        outcome=outcome, ended_at=Now(), error=error, peak_memory=peak_memory, scanned_after=job.scanned
    )


def say(job: Job, message: str, level: EventLevel = EventLevel.INFO) -> None:
    JobEvent.objects.create(job_id=job.pk, attempt=job.fence, level=level, message=message)


def finish(job: Job, message: str, level: EventLevel, peak_memory: int | None) -> bool:
    """The job is done. False where the attempt no longer holds it."""
    with transaction.atomic():
        if not Job.objects.end(job.pk, job.fence, JobState.DONE, **NO_ERROR):
            return False
        end_attempt(job, AttemptOutcome.DONE, peak_memory=peak_memory)
        say(job, message, level)
        _announce(job)
        return True


def finish_in_sync(counted: Sequence[tuple[Job, int]], worker: WorkerIdentity, peak_memory: int | None) -> None:
    """Jobs whose sides were found equal at once, each with its number of tasks, are done. A few statements for all."""
    tasks = {job.pk: (job, number) for job, number in counted}
    with transaction.atomic():
        rows = Job.objects.select_for_update().filter(pk__in=tasks, worker=worker.name, state=JobState.RUNNING)
        held = [row for row in rows.order_by("pk") if row.fence == tasks[row.pk][0].fence]
        for row in held:
            row.expected = row.scanned = tasks[row.pk][1]
        Job.objects.bulk_update(held, ["expected", "scanned"])
        Job.objects.filter(pk__in=[row.pk for row in held]).update(
            state=JobState.DONE, phase=Phase.VERIFY, ended_at=Now(), heartbeat_at=None, **NO_ERROR
        )
        Attempt.objects.bulk_create([_whole_attempt(row, worker, peak_memory) for row in held])
        JobEvent.objects.bulk_create([_in_sync_event(row, worker) for row in held])
        for row in held:
            _announce(row)
    give_back_all([job for job, _ in counted if job.pk not in {row.pk for row in held}])


def _whole_attempt(job: Job, worker: WorkerIdentity, peak_memory: int | None) -> Attempt:
    return Attempt(
        job=job,
        number=job.fence,
        worker=worker.name,
        host=worker.host,
        pid=worker.pid,
        ended_at=Now(),
        outcome=AttemptOutcome.DONE,
        peak_memory=peak_memory,
        scanned_after=job.scanned,
    )


def _in_sync_event(job: Job, worker: WorkerIdentity) -> JobEvent:
    message = f"Attempt {job.fence} on {worker.name}: {job.scanned:,} tasks compared by digest, nothing out of sync."
    return JobEvent(job=job, attempt=job.fence, message=message)


def give_back_all(jobs: Sequence[Job]) -> None:
    """Let go of jobs that were claimed in a group and not begun: back to the queue, or as they were asked meanwhile."""
    for job in jobs:
        with transaction.atomic():
            if Job.objects.give_back(job.pk, job.fence):
                enqueue_after_commit([job])
            elif not Job.objects.hold_back(job.pk, job.fence) and Job.objects.end(
                job.pk, job.fence, JobState.CANCELLED
            ):
                say(job, "Cancelled before it began.")
                _announce(job)


def finish_cancelled(job: Job, reason: str, peak_memory: int | None) -> None:
    with transaction.atomic():
        if Job.objects.end(job.pk, job.fence, JobState.CANCELLED):
            end_attempt(job, AttemptOutcome.CANCELLED, peak_memory=peak_memory)
            say(job, reason)
            _announce(job)


def hibernate(job: Job, reason: str, peak_memory: int | None) -> None:
    """End at a checkpoint and go on later in another process. Costs no retry and is no bad end."""
    with transaction.atomic():
        given_back = Job.objects.give_back(job.pk, job.fence)
        if not given_back and not Job.objects.hold_back(job.pk, job.fence):
            finish_cancelled(job, reason, peak_memory)
            return
        end_attempt(job, AttemptOutcome.HIBERNATED, error=reason, peak_memory=peak_memory)
        say(job, reason)
        if given_back:
            enqueue_after_commit([job])


def fail(job: Job, failure: Failure, peak_memory: int | None) -> None:
    """An attempt failed with an error: retry later, or dead letter. What was to end or to pause anyway, does."""
    with transaction.atomic():
        locked = Job.objects.select_for_update().filter(pk=job.pk).held(job.fence).first()
        if locked is None:
            return
        end_attempt(locked, AttemptOutcome.FAILED, error=failure.sentence, peak_memory=peak_memory)
        delay = retry_delay(locked.failures) if failure.transient else None
        if locked.status is JobState.CANCELLING:
            Job.objects.end(locked.pk, locked.fence, JobState.CANCELLED)
            say(locked, f"{failure.sentence} It was being cancelled: cancelled.", EventLevel.WARNING)
            _announce(locked)
        elif delay is None:
            Job.objects.end(locked.pk, locked.fence, JobState.FAILED, **_failed(locked, failure))
            say(locked, failure.sentence, EventLevel.ERROR)
            _announce(locked)
        elif locked.status is JobState.PAUSING:
            Job.objects.hold_back(locked.pk, locked.fence, **_failed(locked, failure))
            say(locked, f"{failure.sentence} It was being paused: held back.", EventLevel.WARNING)
        else:
            Job.objects.retry_later(locked.pk, locked.fence, delay, **_failed(locked, failure))
            minutes = int(delay.total_seconds() // 60)
            say(locked, f"{failure.sentence} Trying again in {minutes} minutes.", EventLevel.WARNING)


def _failed(job: Job, failure: Failure) -> dict[str, object]:
    return {
        "error": failure.sentence,
        "error_type": failure.error_type,
        "error_fingerprint": fingerprint(failure.error_type, failure.sentence),
        "failures": job.failures + 1,
    }


def recover(job: Job, end: BadEnd) -> None:
    """An attempt is gone without a word: queue the job again from its checkpoint, or stop it where it loops."""
    with transaction.atomic():
        locked = Job.objects.select_for_update().filter(pk=job.pk).held(job.fence).first()
        if locked is None:
            return  # it ended by itself after all, or somebody else has recovered it
        end_attempt(locked, end.outcome, error=end.sentence, peak_memory=end.peak_memory)
        if locked.status is JobState.CANCELLING:
            Job.objects.end(locked.pk, locked.fence, JobState.CANCELLED)
            say(locked, f"{end.sentence} It was being cancelled: cancelled.")
            _announce(locked)
        elif locked.status is JobState.PAUSING:
            Job.objects.hold_back(locked.pk, locked.fence)
            say(locked, f"{end.sentence} It was being paused: held back.")
        elif locked.stalled_attempts + 1 >= LOOPING_AFTER:
            _stop_looping(locked, end)
        else:
            Job.objects.give_back(locked.pk, locked.fence, stalled_attempts=locked.stalled_attempts + 1)
            say(locked, f"{end.sentence} Queued again from its checkpoint.", EventLevel.WARNING)
            enqueue_after_commit([locked])


def _stop_looping(job: Job, end: BadEnd) -> None:
    attempts = job.stalled_attempts + 1
    sentence = f"{attempts} attempts in a row ended without the checkpoint moving: looping. The last: {end.sentence}"
    Job.objects.end(
        job.pk,
        job.fence,
        JobState.LOOPING,
        error=sentence,
        error_type=LOOPING_ERROR,
        error_fingerprint=fingerprint(LOOPING_ERROR, end.sentence),
        stalled_attempts=attempts,
    )
    say(job, sentence, EventLevel.ERROR)
    if job.organization_id:
        SkippedOrganization.objects.open().get_or_create(
            organization_id=job.organization_id,
            defaults={
                "name": job.organization_name,
                "reason": SkipReason.LOOPED,
                "note": sentence,
                "job": job,
                "skipped_by": audit.CLOCK.name,
            },
        )
        audit.record(audit.CLOCK, "organization.skipped", f"job:{job.pk}", trace_id=job.trace_id, reason=sentence)
    transaction.on_commit(lambda: job_looping.send(sender=Job, job_id=job.pk))
    _announce(job)


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
    if function != JOB_FUNCTION:
        return
    # Whatever this worker holds was its child's: the job that RQ named, or those of the sweep behind it.
    for job in Job.objects.filter(worker=worker, state__in=HELD_STATES).order_by("pk"):
        recover(job, BadEnd(AttemptOutcome.KILLED, describe_wait_status(wait_status), peak_memory))


def describe_wait_status(status: int | None) -> str:
    if status is not None and os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        hint = " (by the kernel, when memory runs out)" if name == "SIGKILL" else ""
        return f"The worker's process was killed by {name}{hint}."
    code = os.waitstatus_to_exitcode(status) if status is not None else "unknown"
    return f"The worker's process ended with exit status {code} before the job was done."


def _announce(job: Job) -> None:
    transaction.on_commit(lambda: job_ended.send(sender=Job, job_id=job.pk))
