"""What a worker runs. Thin: claim, run the check, record how it ended."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, ExitStack, suppress

from opsconsole import spans, trace
from opsconsole.worker import stop_requested
from sync import ending, reach
from sync.check import describe_result
from sync.checking import check_of
from sync.control import AttemptStopped, Control, Heartbeat
from sync.failures import classify
from sync.interruption import Interrupted, interruptible, listener
from sync.ledger import FenceLostError, Ledger
from sync.models import Attempt, AttemptOutcome, Job
from sync.operations.workers import WorkerIdentity, peak_memory, this_process
from sync.ranges import Helper, Leader
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
        if outcome == AttemptOutcome.HIBERNATED:
            return outcome  # for memory or a stop: what waits behind it goes to a fresh process
        Sweep(session, worker, _run_quietly).run()
    return outcome


def help_job(job_id: int) -> str:
    """RQ's entry point: lend a hand with the ranges of a job that another worker leads. Where that one is gone
    meanwhile, this one leads it, rather than let it wait behind what else is queued. Returns how it went in a word."""
    worker = this_process()
    with Session() as session:
        fit = Helper(job_id, session, worker).run()
        return _claim_and_run(job_id, worker, session) if fit and not stop_requested() else "helped"


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
        with trace.under(job.trace_id), _span(job, attempt), interruptible():
            _run(job, attempt, session)
    except Interrupted:
        return _end_interrupted(job, attempt)
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
    ending.finish(job, *describe_result(job), peak_memory())
    return "done"


def _span(job: Job, attempt: Attempt) -> AbstractContextManager[spans.Span]:
    known: dict[str, spans.Value] = {
        "opsconsole.job": job.pk,
        "opsconsole.attempt": attempt.number,
        "opsconsole.mode": job.mode,
    }
    return spans.span("job", known, harmless=(AttemptStopped, Interrupted))


def _run(job: Job, attempt: Attempt, session: Session) -> None:
    settings = session.settings
    ledger = Ledger(job.pk, job.fence)
    place = "the start" if job.checkpoint is None else f"checkpoint {job.checkpoint}"
    ledger.note(f"Attempt {attempt.number} on {attempt.worker}, from {place}.")
    control = Control(ledger, memory_limit=settings.check.memory_limit)
    held = Job.objects.filter(pk=job.pk).held(job.fence)
    listen = listener(job.pk, WorkerIdentity(attempt.worker, attempt.host, attempt.pid))
    with Heartbeat(held, listen), ExitStack() as stack:
        way = WayToWalk(job, session, stack, ledger.note)
        leader = Leader(job, session, ledger, control, way)
        check_of(job, session, ledger, control, way, way.second_look, leader.walk_in_ranges).run()


def _end_interrupted(job: Job, attempt: Attempt) -> str:
    """Stopped in the middle of something. Where another job was meant, which ended just then, this one goes on."""
    job.refresh_from_db(fields=["scanned", "state"])
    ending.hibernate(job, "Its process was interrupted in the middle of its work.", peak_memory())
    reach.cancel_own_statements(WorkerIdentity(attempt.worker, attempt.host, attempt.pid))
    return AttemptOutcome.HIBERNATED.value


def _stop(job: Job, stopped: AttemptStopped) -> None:
    job.refresh_from_db(fields=["scanned", "state"])
    if stopped.outcome is AttemptOutcome.CANCELLED:
        ending.finish_cancelled(job, stopped.reason, peak_memory())
    else:
        ending.hibernate(job, stopped.reason, peak_memory())


def _record_failure(job: Job, error: Exception) -> None:
    failure = classify(error)
    if not failure.known:
        logger.error("job %s failed unexpectedly", job.pk, exc_info=error)
    ending.fail(job, failure, peak_memory())
