"""The console's own operations that a schedule can start. Each may be killed anywhere, and run again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.utils import timezone

from monitoring.records.operations.snapshots import take
from monitoring.records.standing import record_source
from monitoring.schedules.actions import Log, operation
from monitoring.schedules.models import Run
from opsconsole import estate, retention
from opsconsole.audit import Actor, Door
from opsconsole.errors import ConsoleError, OutsideDataError, UnavailableError, UsageError
from opsconsole.words import counted
from opsconsole.worker import stop_requested
from sync.check import describe_result
from sync.estate_check.result import Status
from sync.estate_check.systems import check_estate
from sync.jobs import run_as
from sync.models import Job, JobState, Mode
from sync.models.states import HELD_STATES
from sync.operations import jobs
from sync.operations.ids import organization_rules, require_keys
from sync.operations.workers import this_process

MODES = tuple(mode.value for mode in Mode)
LOOK_SECONDS = 1.0


def _verify_check(parameters: Mapping[str, Any]) -> None:
    organizations = parameters.get("organizations")
    if (
        not isinstance(organizations, list)
        or not organizations
        or not all(isinstance(one, str) for one in organizations)
    ):
        raise UsageError("organizations is needed: a list of organization ids.")
    require_keys(organizations, organization_rules(estate.current().source))
    if parameters.get("mode", Mode.REPORT.value) not in MODES:
        raise UsageError(f"mode is {parameters['mode']!r}; allowed are {', '.join(MODES)}.")


@operation(
    "check_organizations",
    "Compares organizations with the index, one after the other, in the run's own process.",
    verify=_verify_check,
    organizations="ids of organizations",
    mode="report (as if left out) only says what is out of sync, sync publishes it too",
)
def check_organizations(parameters: Mapping[str, Any], run: Run, log: Log) -> str:
    """A job for each, in this process: the run then waits for no other worker. A job that an earlier attempt of the run
    has begun is gone on with. Raises UnavailableError where one will be tried again, OutsideDataError where one failed.
    """
    mode = Mode(parameters.get("mode", Mode.REPORT.value))
    ended = [_check(text, mode, run, log) for text in parameters["organizations"]]
    bad = [job for job in ended if job.status is not JobState.DONE]
    out_of_sync = sum(job.drift_found for job in ended)
    if bad:
        numbers = ", ".join(f"Job {job.pk} is {job.status.label.lower()}" for job in bad)
        kind = OutsideDataError if all(job.status.terminal for job in bad) else UnavailableError
        raise kind(f"Of {counted(len(ended), 'organization')}, not checked: {len(bad)}. {numbers}.")
    return f"{counted(len(ended), 'organization')} checked, {counted(out_of_sync, 'task')} out of sync."


def _check(text: str, mode: Mode, run: Run, log: Log) -> Job:
    job = _job_of(text, mode, run)
    log(f"Job {job.pk}: {job.subject}, mode {job.mode}.")
    try:
        run_as(job.pk, this_process())
    except ConsoleError as error:
        log(f"Job {job.pk}: {error}")
    job = _when_ended(job)
    log(describe_result(job)[0] if job.status is JobState.DONE else f"Job {job.pk}: {job.status.label}. {job.error}")
    return job


def _job_of(text: str, mode: Mode, run: Run) -> Job:
    """The job that this run made already, or a new one. Raises UnavailableError where another job has the
    organization now."""
    actor = Actor(f"{run.scheduled_job.name} (run {run.pk})", Door.WORKER)
    (key,) = require_keys([text], organization_rules(estate.current().source))
    mine = Job.objects.filter(organization_id=str(key), created_by=actor.name).order_by("-pk").first()
    if mine is not None and (not mine.status.terminal or mine.status is JobState.DONE):
        return mine
    try:
        return jobs.check_organization(text, mode, actor, enqueue=False)
    except UsageError as error:
        raise UnavailableError(str(error)) from error


def _when_ended(job: Job) -> Job:
    """The job once no process works on it: an earlier attempt's process may still, or a worker that found it queued."""
    while True:
        job.refresh_from_db()
        if job.status not in HELD_STATES:
            return job
        time.sleep(LOOK_SECONDS)


def _verify_source(parameters: Mapping[str, Any]) -> None:
    names = [source.name for source in estate.current().records]
    if parameters.get("source") not in names:
        raise UsageError(f"source is {parameters.get('source')!r}; record sources are {', '.join(names) or 'none'}.")


@operation(
    "record_snapshot",
    "Counts the records of a source by status, and keeps the counts.",
    verify=_verify_source,
    may_wait=True,
    source="the name of a record source",
)
def record_snapshot(parameters: Mapping[str, Any], run: Run, log: Log) -> str:
    """Raises UnavailableError where they cannot be counted."""
    source = record_source(parameters["source"])
    if source is None:
        raise OutsideDataError(f"The estate has no record source {parameters['source']!r} any more.")
    snapshot = take(source, timezone.now())
    if snapshot.error:
        raise UnavailableError(snapshot.error)
    return f"{source.label}: {counted(sum(snapshot.counts.values()), 'record')} counted."


def _verify_nothing(parameters: Mapping[str, Any]) -> None:
    """There are no parameters."""


@operation(
    "check_estate", "Connects to everything that the estate names, and says what it found.", verify=_verify_nothing
)
def check_whole_estate(parameters: Mapping[str, Any], run: Run, log: Log) -> str:
    """Raises UnavailableError where something has a problem."""
    problems = 0
    for result in check_estate(estate.current(), settings.REDIS_URL):
        log(f"{result.status.value}: {result.name}: {result.sentence}")
        problems += result.status is Status.PROBLEM
    if problems:
        raise UnavailableError(f"{counted(problems, 'problem')}, which the log has.")
    return "Everything that the estate names answers as it should."


@operation("prune", "Clears away what is older than the settings keep.", verify=_verify_nothing, may_wait=True)
def prune_old_rows(parameters: Mapping[str, Any], run: Run, log: Log) -> str:
    """Raises UnavailableError where its worker is to stop before all is gone: another one goes on."""
    actor = Actor(f"{run.scheduled_job.name} (run {run.pk})", Door.WORKER)
    reason = run.reason or "scheduled"
    pruned = retention.prune(actor, reason, timezone.now(), say=log, stop=stop_requested)
    if not pruned.whole:
        raise UnavailableError(f"It was stopped before all was gone. {pruned.sentence()}")
    return pruned.sentence()
