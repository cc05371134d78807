"""A run under way: claimed, performed, ended. It is done when it is done, not when it was taken."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from rq.timeouts import JobTimeoutException

from monitoring.schedules import carrying
from monitoring.schedules.actions import perform
from monitoring.schedules.models import Run, RunEvent, RunState
from monitoring.schedules.pings import Trouble
from monitoring.schedules.signals import run_ended
from opsconsole.errors import UnavailableError
from opsconsole.worker import stop_requested
from sync.control import Heartbeat
from sync.failures import Failure, classify

logger = logging.getLogger(__name__)


class TookTooLongError(UnavailableError):
    """A run did not end within its time limit. Trying again may help."""


def run_claimed(run: Run) -> str:
    """Perform a run that this process holds and record how it ended. Returns its state in a word."""
    say(run, f"Attempt {run.attempt} of {run.scheduled_job.attempts_allowed} on {run.worker}.")
    try:
        with Heartbeat(Run.objects.held(run.pk, run.fence)):
            result = perform(run, lambda line: say(run, line))
    except JobTimeoutException:
        limit = run.scheduled_job.time_limit
        failure = classify(TookTooLongError(f"It took longer than its time limit of {limit}."))
        return fail(run, failure, Trouble.TOO_LONG)
    except Exception as error:  # whatever an action raises is this run's failure, and recorded as that
        failure = classify(error)
        if failure.known and failure.transient and stop_requested():
            return give_back(run, f"{failure.sentence} Its worker is to stop: it is started again elsewhere.")
        if not failure.known:
            logger.error("run %s failed unexpectedly", run.pk, exc_info=error)
        return fail(run, failure)
    return finish(run, result)


def say(run: Run, message: str, *, problem: bool = False) -> None:
    RunEvent.objects.create(run_id=run.pk, attempt=run.attempt, message=message, problem=problem)


def finish(run: Run, result: str) -> str:
    with transaction.atomic():
        if not Run.objects.end(run.pk, run.fence, RunState.DONE, result=result, error=""):
            return "fence lost"
        say(run, result)
        announce(run)
    return RunState.DONE.value


def fail(run: Run, failure: Failure, trouble: Trouble = Trouble.FAILED) -> str:
    """An attempt failed: tried again later where that may help and attempts are left, else the run has failed."""
    with transaction.atomic():
        delays = run.scheduled_job.retry_delays
        if failure.transient and run.attempt <= len(delays):
            delay = timedelta(seconds=delays[run.attempt - 1])
            if not Run.objects.retry_later(run.pk, run.fence, delay, error=failure.sentence):
                return "fence lost"
            say(run, f"{failure.sentence} Trying again in {delay}.", problem=True)
            return RunState.RETRYING.value
        if not _end_failed(run, failure.sentence, trouble):
            return "fence lost"
        say(run, failure.sentence, problem=True)
        announce(run)
    return RunState.FAILED.value


def recover(run: Run, sentence: str, *, own_downtime: bool = False) -> None:
    """The worker that held the run is gone: start it again at once within its attempts, else it has failed.

    Where it went in a downtime of this console's own nobody knows whether the run had failed: then it is unknown, and
    for a person to say.
    """
    with transaction.atomic():
        if run.attempt < run.scheduled_job.attempts_allowed:
            if Run.objects.queue_again(run.pk, run.fence):
                say(run, f"{sentence} Started again.", problem=True)
                carrying.enqueue_after_commit([run])
        elif own_downtime:
            cause = f"{sentence} The console itself was down then, so nobody knows how it ended."
            if Run.objects.end(run.pk, run.fence, RunState.UNKNOWN, cause=cause):
                say(run, cause, problem=True)
                announce(run)
        elif _end_failed(run, sentence, Trouble.FAILED):
            say(run, f"{sentence} No attempts are left.", problem=True)
            announce(run)


def _end_failed(run: Run, sentence: str, trouble: Trouble) -> bool:
    return Run.objects.end(
        run.pk, run.fence, RunState.FAILED, error=sentence, trouble=trouble.value, trouble_since=Now()
    )


def give_back(run: Run, sentence: str) -> str:
    """A deployment ends the attempt: the run goes on elsewhere, and that costs it no attempt."""
    with transaction.atomic():
        if not Run.objects.queue_again(run.pk, run.fence, attempt=F("attempt") - 1):
            return "fence lost"
        say(run, sentence)
        carrying.enqueue_after_commit([run])
    return RunState.QUEUED.value


def announce(run: Run) -> None:
    transaction.on_commit(lambda: run_ended.send(sender=Run, run_id=run.pk))
