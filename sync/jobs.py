"""What a worker runs. Thin: claim, run the check, record how it ended."""

from __future__ import annotations

import logging
from contextlib import ExitStack

from opsconsole import estate
from opsconsole.estate.model import Estate
from sync import recovery
from sync.check import Check, Names, Systems, describe_result
from sync.control import AttemptStopped, Control, Heartbeat
from sync.failures import classify
from sync.index import open_index
from sync.ledger import FenceLostError, Ledger
from sync.models import Attempt, AttemptOutcome, Job
from sync.operations.workers import WorkerIdentity, peak_memory, this_process
from sync.publisher import Publisher
from sync.source import Source
from sync.walking import WayToWalk

logger = logging.getLogger(__name__)


def run_job(job_id: int) -> str:
    """RQ's entry point: run the durable job `job_id` as this worker. Returns its outcome in a word."""
    return run_as(job_id, this_process())


def run_as(job_id: int, worker: WorkerIdentity) -> str:
    """Claim and run a job. A claim that is lost is a quiet return; a failure is recorded, then raised again."""
    claimed = Job.objects.claim(job_id, worker)
    if claimed is None:
        return "not claimed"
    job, attempt = claimed
    try:
        _run(job, attempt)
    except AttemptStopped as stopped:
        _stop(job, stopped)
        return stopped.outcome.value
    except FenceLostError as error:
        logger.warning("%s", error)
        return "fence lost"
    except Exception as error:
        _record_failure(job, error)
        raise
    job.refresh_from_db()
    recovery.finish(job, *describe_result(job), peak_memory())
    return "done"


def _run(job: Job, attempt: Attempt) -> None:
    settings = estate.current()
    ledger = Ledger(job.pk, job.fence, settings.source.tasks.compare)
    place = "the start" if job.checkpoint is None else f"checkpoint {job.checkpoint}"
    ledger.note(f"Attempt {attempt.number} on {attempt.worker}, from {place}.")
    control = Control(ledger, memory_limit=settings.check.memory_limit)
    with Heartbeat(job.pk, job.fence), ExitStack() as stack:
        systems = open_systems(settings, stack)
        walk_of = WayToWalk(job, settings, systems, stack, ledger.note)
        Check(job, ledger, systems, control, names=names_of(settings), limits=settings.check, walk_of=walk_of).run()


def open_systems(settings: Estate, stack: ExitStack) -> Systems:
    """Adapters of this process. Opened after the fork: a connection inherited from a parent gives wrong answers."""
    source = stack.enter_context(Source(settings.source))
    index = stack.enter_context(open_index(settings))
    return Systems(source, index, stack.enter_context(Publisher(settings.kafka)))


def names_of(settings: Estate) -> Names:
    tasks = settings.source.tasks
    return Names(tasks.compare, tasks.id_type, settings.source.organizations.id_type)


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
