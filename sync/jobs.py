"""What a worker runs. Thin: claim, run the check, record how it ended."""

from __future__ import annotations

import logging
from contextlib import ExitStack, suppress

from sync import recovery
from sync.check import Check, describe_result
from sync.control import AttemptStopped, Control, Heartbeat
from sync.failures import classify
from sync.ledger import FenceLostError, Ledger
from sync.models import Attempt, AttemptOutcome, Job
from sync.operations.workers import WorkerIdentity, peak_memory, this_process
from sync.session import Session
from sync.sweep import Sweep
from sync.walking import WayToWalk

logger = logging.getLogger(__name__)


class JobFailedError(Exception):
    """A job failed, and that is recorded; its cause says why."""


def run_job(job_id: int) -> str:
    """RQ's entry point: run the durable job `job_id` as this worker, then small ones that wait behind it.

    Returns the job's outcome in a word.
    """
    worker = this_process()
    with Session() as session:
        outcome = _claim_and_run(job_id, worker, session)
        Sweep(session, worker, _run_quietly).run()
    return outcome


def run_as(job_id: int, worker: WorkerIdentity) -> str:
    """Claim and run one job. A claim that is lost is a quiet return; a failure is recorded, then raised again."""
    with Session() as session:
        return _claim_and_run(job_id, worker, session)


def _claim_and_run(job_id: int, worker: WorkerIdentity, session: Session) -> str:
    claimed = Job.objects.claim(job_id, worker)
    if claimed is None:
        return "not claimed"
    try:
        return run_claimed(*claimed, session)
    except JobFailedError as failed:
        raise failed.__cause__ or failed from None


def _run_quietly(job: Job, attempt: Attempt, session: Session) -> None:
    """Run a job whose failure, recorded as it is, must not keep those behind it from running."""
    with suppress(JobFailedError):
        run_claimed(job, attempt, session)


def run_claimed(job: Job, attempt: Attempt, session: Session) -> str:
    """Run a job that this process holds, and record how it ended. Raises JobFailedError."""
    try:
        _run(job, attempt, session)
    except AttemptStopped as stopped:
        _stop(job, stopped)
        return stopped.outcome.value
    except FenceLostError as error:
        logger.warning("%s", error)
        return "fence lost"
    except Exception as error:
        _record_failure(job, error)
        raise JobFailedError(str(error)) from error
    job.refresh_from_db()
    recovery.finish(job, *describe_result(job), peak_memory())
    return "done"


def _run(job: Job, attempt: Attempt, session: Session) -> None:
    settings = session.settings
    ledger = Ledger(job.pk, job.fence, settings.source.tasks.compare)
    place = "the start" if job.checkpoint is None else f"checkpoint {job.checkpoint}"
    ledger.note(f"Attempt {attempt.number} on {attempt.worker}, from {place}.")
    control = Control(ledger, memory_limit=settings.check.memory_limit)
    held = Job.objects.filter(pk=job.pk).held(job.fence)
    with Heartbeat(held), ExitStack() as stack:
        walk_of = WayToWalk(job, session, stack, ledger.note)
        Check(job, ledger, session.systems, control, names=session.names, limits=settings.check, walk_of=walk_of).run()


def _stop(job: Job, stopped: AttemptStopped) -> None:
    job.refresh_from_db(fields=["scanned", "state"])
    if stopped.outcome is AttemptOutcome.CANCELLED:
        recovery.finish_cancelled(job, stopped.reason, peak_memory())
    else:
        recovery.hibernate(job, stopped.reason, peak_memory())


def _record_failure(job: Job, error: Exception) -> None:
    failure = classify(error)
    if not failure.known:
        logger.error("job %s failed unexpectedly", job.pk, exc_info=error)
    recovery.fail(job, failure, peak_memory())
