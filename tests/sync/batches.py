"""Staged organizations and ends of jobs made by hand, for tests of batches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TypeVar
from uuid import uuid4

from django.db import DatabaseError, connection
from django.utils import timezone

from opsconsole import audit
from opsconsole.errors import ConsoleError
from opsconsole.models import AuditEntry
from sync.models import Batch, Job, JobState, StagedOrganization
from sync.operations import batches
from sync.operations.batches import BatchOptions
from tests.sync.jobs import claim

T = TypeVar("T")

PERSON = audit.Actor("ada", audit.Door.PAGE)


def stage(count: int, *, tasks: Callable[[int], int | None] = lambda _: 10) -> list[str]:
    """Ids in the order in which they were staged."""
    begin = timezone.now() - timedelta(hours=1)
    rows = StagedOrganization.objects.bulk_create(
        [
            StagedOrganization(
                organization_id=str(uuid4()),
                name=f"Organization {number}",
                staged_at=begin + timedelta(milliseconds=number),
                staged_by="tests",
                task_count=tasks(number),
            )
            for number in range(count)
        ]
    )
    return [row.organization_id for row in rows]


def start(options: BatchOptions, actor: audit.Actor = PERSON) -> Batch:
    return batches.start_options(options, actor)


def states(batch: Batch) -> list[JobState]:
    """Of the batch's jobs, in the order they are to run."""
    return [JobState(state) for state in batch.jobs.order_by("pk").values_list("state", flat=True)]


def in_state(batch: Batch, *wanted: JobState) -> list[Job]:
    return list(batch.jobs.filter(state__in=wanted).order_by("pk"))


def run(job: Job, state: JobState = JobState.DONE) -> None:
    """A worker takes the job and ends it; what follows the commit is done by hand, as these tests never commit."""
    job, _ = claim(job)
    Job.objects.end(job.pk, job.fence, state)
    batches.close_when_last_job_ended(None, job_ids=[job.pk])


def run_all(batch: Batch, state: JobState = JobState.DONE) -> None:
    """Everything that the batch lets run, until nothing is in the queue any more."""
    while queued := in_state(batch, JobState.QUEUED):
        for job in queued:
            run(job, state)


def organizations_of(batch: Batch) -> list[str]:
    return list(batch.jobs.order_by("pk").values_list("organization_id", flat=True))


def acts(batch: Batch) -> list[str]:
    """What the audit log has about the batch, oldest first."""
    return list(AuditEntry.objects.filter(subject=f"batch:{batch.pk}").order_by("pk").values_list("action", flat=True))


def reload(batch: Batch) -> Batch:
    return Batch.objects.get(pk=batch.pk)


def at_once(calls: Sequence[Callable[[], T]]) -> list[T | Exception]:
    """Each call in a thread of its own, all let go together; what they returned or raised, in order."""
    barrier = threading.Barrier(len(calls))

    def one(call: Callable[[], T]) -> T | Exception:
        try:
            barrier.wait(timeout=30)
            return call()
        except (ConsoleError, DatabaseError) as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=len(calls)) as pool:
        return list(pool.map(one, calls))
