"""How attempts end by their own word, and what follows for the job: done, given back, tried again later, given up.

What ends without a word is `sync.recovery`'s, which builds on this.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from django.db import transaction
from django.db.models.functions import Now

from opsconsole import audit
from opsconsole.words import counted
from sync.failures import Failure, fingerprint, retry_delay
from sync.looping import evidence_of, limits, looping_sentence
from sync.models import (
    Attempt,
    AttemptOutcome,
    EventLevel,
    Job,
    JobEvent,
    JobRange,
    JobState,
    Phase,
    SkippedOrganization,
    SkipReason,
    StopStep,
)
from sync.models.states import ORGANIZATION_KINDS
from sync.operations.workers import WorkerIdentity
from sync.queueing import enqueue_after_commit
from sync.signals import job_looping, jobs_ended

LOOPING_ERROR = "Looping"
NO_ERROR = {"error": "", "error_type": "", "error_fingerprint": ""}


def end_attempt(job: Job, outcome: AttemptOutcome, *, error: str = "", peak_memory: int | None = None) -> None:
    """Close the attempt that holds `job` (by its fence), once; a second call changes nothing."""
    leading = Attempt.objects.filter(job_id=job.pk, range_number=0, number=job.fence)
    leading.filter(outcome=AttemptOutcome.RUNNING).update(
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


def finish_in_sync(equal: Sequence[tuple[Job, int]], worker: WorkerIdentity, peak_memory: int | None) -> None:
    """Jobs whose sides were found equal at once, each with its number of tasks, are done. A few statements for all."""
    tasks = {job.pk: (job, number) for job, number in equal}
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
        _announce(*held)
    give_back_all([job for job, _ in equal if job.pk not in {row.pk for row in held}])


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
    message = (
        f"Attempt {job.fence} on {worker.name}: {counted(job.scanned, 'task')} compared by digest, nothing out of sync."
    )
    return JobEvent(job=job, attempt=job.fence, message=message)


def give_back_all(jobs: Sequence[Job]) -> None:
    """Let go of jobs that were claimed in a group and not begun: back to the queue, or as they were asked meanwhile."""
    for job in jobs:
        with transaction.atomic():
            if Job.objects.give_back(job.pk, job.fence):
                enqueue_after_commit([job])
            elif not Job.objects.hold_back(job.pk, job.fence):
                end_cancelled(job, "Cancelled before it began.", heard=True)


def finish_cancelled(job: Job, reason: str, peak_memory: int | None) -> None:
    with transaction.atomic():
        if end_cancelled(job, reason, heard=True):
            end_attempt(job, AttemptOutcome.CANCELLED, peak_memory=peak_memory)


def end_cancelled(job: Job, sentence: str, level: EventLevel = EventLevel.INFO, *, heard: bool = False) -> bool:
    """End a held job as cancelled, and with it every step that was asked of its process. False: it is not held.

    `heard`: the process itself ended it, because it was asked.
    """
    if not Job.objects.end(job.pk, job.fence, JobState.CANCELLED):
        return False
    say(job, sentence, level)
    ended_by_itself = f"Ended by process {os.getpid()} itself: " if heard else ""
    StopStep.objects.close(job.pk, job.fence, f"{ended_by_itself}{sentence}", heard=heard)
    _announce(job)
    return True


def hibernate(job: Job, reason: str, peak_memory: int | None) -> None:
    """End at a checkpoint and go on later in another process. Costs no retry, and is no bad end by itself."""
    with transaction.atomic():
        locked = lock_held(job)
        if locked is None:
            return
        if locked.status is JobState.CANCELLING:
            finish_cancelled(locked, reason, peak_memory)
            return
        end_attempt(locked, AttemptOutcome.HIBERNATED, error=reason, peak_memory=peak_memory)
        say(locked, reason)
        if locked.status is JobState.PAUSING:
            Job.objects.hold_back(locked.pk, locked.fence)
        elif not stopped_looping(locked, reason, stalled=0):
            Job.objects.give_back(locked.pk, locked.fence)
            enqueue_after_commit([locked])


def lock_held(job: Job) -> Job | None:
    """The job's row, locked; None where this attempt no longer holds it: it ended, or somebody else recovered it."""
    return Job.objects.select_for_update().filter(pk=job.pk).held(job.fence).first()


def fail(job: Job, failure: Failure, peak_memory: int | None) -> None:
    """An attempt failed with an error: retry later, or dead letter. What was to end or to pause anyway, does."""
    with transaction.atomic():
        locked = lock_held(job)
        if locked is None:
            return
        end_attempt(locked, AttemptOutcome.FAILED, error=failure.sentence, peak_memory=peak_memory)
        delay = retry_delay(locked.failures) if failure.transient else None
        if locked.status is JobState.CANCELLING:
            sentence = f"{failure.sentence} It was being cancelled: cancelled."
            end_cancelled(locked, sentence, EventLevel.WARNING, heard=True)
        elif stopped_looping(locked, failure.sentence, stalled=0):
            return
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


def leave_range(
    part: JobRange,
    outcome: AttemptOutcome,
    *,
    error: str = "",
    peak_memory: int | None = None,
    badly: bool = False,
) -> bool:
    """Let go of a range, where it is not done, and close the attempt of the helper that had it. False where there was
    none: whoever leads the job had the range, or this was done before."""
    with transaction.atomic():
        # The job before its range, as everybody who holds both.
        Job.objects.select_for_update().only("pk").get(pk=part.job_id)
        JobRange.objects.let_go(part.pk, part.fence, badly=badly)
        scanned = JobRange.objects.values_list("scanned", flat=True).get(pk=part.pk)
        open_attempt = Attempt.objects.filter(
            job_id=part.job_id, range_number=part.number, number=part.fence, outcome=AttemptOutcome.RUNNING
        )
        return bool(
            open_attempt.update(
                outcome=outcome, ended_at=Now(), error=error, peak_memory=peak_memory, scanned_after=scanned
            )
        )


def stopped_looping(job: Job, last: str, *, stalled: int) -> bool:
    """Whether `job`, locked, loops now that its attempt has ended; then it is stopped. `last` is how that ended."""
    repeated = looping_sentence(evidence_of(job, stalled=stalled), limits())
    if repeated is None:
        return False
    sentence = f"{repeated} The last: {last}"
    Job.objects.end(
        job.pk,
        job.fence,
        JobState.LOOPING,
        stalled_attempts=stalled,
        error=sentence,
        error_type=LOOPING_ERROR,
        error_fingerprint=fingerprint(LOOPING_ERROR, last),
    )
    _leave_out(job, sentence)
    return True


def _leave_out(job: Job, sentence: str) -> None:
    """Say why a looping job was stopped, and take its organization out of the batches to come."""
    say(job, sentence, EventLevel.ERROR)
    if job.kind in ORGANIZATION_KINDS:
        names, numbers = {job.organization_id: job.organization_name}, {job.organization_id: job.pk}
        SkippedOrganization.objects.put_on(names, SkipReason.LOOPED, sentence, audit.CLOCK.name, numbers)
        audit.record(audit.CLOCK, "organization.skipped", f"job:{job.pk}", trace_id=job.trace_id, reason=sentence)
    transaction.on_commit(lambda: job_looping.send(sender=Job, job_id=job.pk))
    _announce(job)


def _announce(*jobs: Job) -> None:
    if jobs:
        transaction.on_commit(lambda: jobs_ended.send(sender=Job, job_ids=[job.pk for job in jobs]))
