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
from monitoring.schedules.signals import run_ended
from opsconsole.errors import UnavailableError
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
        return fail(run, classify(TookTooLongError(f"It took longer than its time limit of {limit}.")))
    except Exception as error:  # whatever an action raises is this run's failure, and recorded as that
        failure = classify(error)
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


def fail(run: Run, failure: Failure) -> str:
    """An attempt failed: tried again later where that may help and attempts are left, else the run has failed."""
    with transaction.atomic():
        delays = run.scheduled_job.retry_delays
        if failure.transient and run.attempt <= len(delays):
            delay = timedelta(seconds=delays[run.attempt - 1])
            if not Run.objects.retry_later(run.pk, run.fence, delay, error=failure.sentence):
                return "fence lost"
            say(run, f"{failure.sentence} Trying again in {delay}.", problem=True)
            return RunState.RETRYING.value
        if not Run.objects.end(run.pk, run.fence, RunState.FAILED, error=failure.sentence):
            return "fence lost"
        say(run, failure.sentence, problem=True)
        announce(run)
    return RunState.FAILED.value


def recover(run: Run, sentence: str) -> None:
    """The worker that held the run is gone: start it again at once within its attempts, else it has failed."""
    with transaction.atomic():
        held = Run.objects.held(run.pk, run.fence)
        if run.attempt < run.scheduled_job.attempts_allowed:
            if held.update(state=RunState.QUEUED, heartbeat_at=None, enqueued_at=Now()):
                say(run, f"{sentence} Started again.", problem=True)
                carrying.enqueue_after_commit([run])
        elif Run.objects.end(run.pk, run.fence, RunState.FAILED, error=sentence):
            say(run, f"{sentence} No attempts are left.", problem=True)
            announce(run)


def give_back(run: Run, reason: str) -> None:
    """A deployment ends the attempt: it goes on elsewhere, and costs no attempt."""
    with transaction.atomic():
        held = Run.objects.held(run.pk, run.fence)
        if held.update(state=RunState.QUEUED, heartbeat_at=None, enqueued_at=Now(), attempt=F("attempt") - 1):
            say(run, reason)
            carrying.enqueue_after_commit([run])


def announce(run: Run) -> None:
    transaction.on_commit(lambda: run_ended.send(sender=Run, run_id=run.pk))
