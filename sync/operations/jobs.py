"""Single jobs: check one organization, sync some tasks by hand, retry. Ending one is `ladder`'s."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack

from django.db import IntegrityError, transaction

from opsconsole import audit, estate, scope, trace
from opsconsole.errors import UsageError
from opsconsole.keys import Key
from opsconsole.words import some_of
from sync import queueing
from sync.engine.rows import Row
from sync.index import open_index
from sync.models import Job, JobEvent, JobKind, JobState, Mode
from sync.models.states import ORGANIZATION_KINDS
from sync.operations.batches import reopen
from sync.operations.ids import organization_rules, require_keys, task_rules
from sync.operations.staging import known_organizations
from sync.source import Source

MOST_TASKS = 10_000
LONGEST_NUMBER = 18
RETRYABLE = (JobState.FAILED, JobState.LOOPING, JobState.CANCELLED, JobState.RETRYING)


def check_organization(text: str, mode: Mode, actor: audit.Actor, *, enqueue: bool = True) -> Job:
    """A job for one organization, given by its id with or without prefix. Raises UsageError, UnavailableError.

    `enqueue=False` leaves it to the caller to run it in this process.
    """
    settings = estate.current().source
    keys = require_keys([text], organization_rules(settings))
    if len(keys) != 1:
        raise UsageError(f"One organization id is needed, and {len(keys)} were given.")
    names = known_organizations(keys)
    job = Job(
        mode=mode,
        organization_id=str(keys[0]),
        organization_name=names[keys[0]],
        trace_id=trace.current_or_new(),
        created_by=actor.name,
    )
    return create_job(job, actor, enqueue=enqueue)


def sync_tasks(lines: Iterable[str], mode: Mode, actor: audit.Actor, *, reason: str = "", enqueue: bool = True) -> Job:
    """A job for tasks named by hand: each is compared, and in mode `sync` published where it differs.

    For somebody who is limited to some organizations they have to be of one, which the job then carries: by that it is
    seen. Raises UsageError where an id is bad, or known to neither source nor index, or there are too many.
    """
    settings = estate.current()
    keys = require_keys(lines, task_rules(settings.source))
    if len(keys) > MOST_TASKS:
        raise UsageError(
            f"{len(keys):,} tasks are too many by hand; allowed are {MOST_TASKS:,}. Sync organizations instead."
        )
    job = Job(
        kind=JobKind.TASKS,
        mode=mode,
        organization_id=_owner_of(_known_tasks(keys)),
        task_ids=[str(key) for key in keys],
        trace_id=trace.current_or_new(),
        created_by=actor.name,
    )
    return create_job(job, actor, reason=reason, enqueue=enqueue)


def _known_tasks(keys: tuple[Key, ...]) -> list[Row]:
    """The tasks as the source has them, or else the index. Raises UsageError where neither has one."""
    settings = estate.current()
    with ExitStack() as stack:
        known = stack.enter_context(Source(settings.source)).by_keys(keys)
        left = [key for key in keys if key not in known]
        if left:
            known |= stack.enter_context(open_index(settings)).by_keys(left)
    unknown = [str(key) for key in keys if key not in known]
    if unknown:
        raise UsageError(f"Known to neither source nor index: {some_of(unknown)}. Nothing was done.")
    return list(known.values())


def _owner_of(tasks: list[Row]) -> str:
    """The one organization of the tasks for whoever is limited; empty else: a list by hand may be of many."""
    held = scope.current()
    if held.organizations is None:
        return ""
    held.require_tasks((row.key, row.organization) for row in tasks)
    owners = {str(row.organization) for row in tasks}
    if len(owners) > 1:
        raise UsageError(
            f"These tasks are of {len(owners):,} organizations; your groups are limited to some, so that one "
            "organization at a time is allowed by hand. Nothing was done."
        )
    return owners.pop()


def create_job(job: Job, actor: audit.Actor, *, reason: str = "", enqueue: bool = True) -> Job:
    """Save a new job, audited, and put it into the queue. Raises UsageError where its organization has an active one,
    UnavailableError without Redis."""
    if enqueue:
        queueing.require_reachable()
    try:
        with transaction.atomic():
            job.save()
            JobEvent.objects.create(job=job, message=f"Queued by {actor.name}.")
            audit.record(
                actor,
                "job.created",
                f"job:{job.pk}",
                reason=reason,
                trace_id=job.trace_id,
                mode=job.mode,
                of=job.subject,
            )
            if enqueue:
                queueing.enqueue_after_commit([job])
    except IntegrityError as error:
        if "one_active_job_per_organization" not in str(error):
            raise
        other = Job.objects.active().filter(kind__in=ORGANIZATION_KINDS, organization_id=job.organization_id).first()
        which = f"job {other.pk}, {other.status.label.lower()}" if other else "a job that ended just now"
        raise UsageError(
            f"Organization {job.organization_id} already has {which}; one at a time is allowed."
        ) from error
    return job


def find_job(number: str) -> Job:
    """The job with this number. Raises UsageError."""
    digits = number.strip()
    job = (
        Job.objects.select_related("batch").filter(pk=int(digits)).first()
        if digits.isdecimal() and len(digits) <= LONGEST_NUMBER
        else None
    )
    if job is None:
        raise UsageError(f"There is no job {number!r}; job numbers are whole numbers, as the job list shows them.")
    return job


def retry(job: Job, actor: audit.Actor, reason: str = "") -> None:
    """Queue a failed, looping or cancelled job again, from its checkpoint. Raises UsageError."""
    queueing.require_reachable()
    try:
        with transaction.atomic():
            reopen(job.batch_id)  # the batch before the job, as everybody who holds both
            if not Job.objects.filter(pk=job.pk).requeue(states=RETRYABLE):
                job.refresh_from_db()
                raise UsageError(
                    f"Job {job.pk} is {job.status.label.lower()}; only ended or waiting ones can be retried."
                )
            Job.objects.filter(pk=job.pk).update(failures=0, stalled_attempts=0)
            JobEvent.objects.create(job=job, attempt=job.fence, message=f"Queued again by {actor.name}.")
            audit.record(actor, "job.retried", f"job:{job.pk}", reason=reason, trace_id=job.trace_id)
            queueing.enqueue_after_commit([job])
    except IntegrityError as error:
        raise UsageError(
            f"Organization {job.organization_id} has another active job; one at a time is allowed."
        ) from error
