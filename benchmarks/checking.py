"""Running a check as a worker does, in this process."""

from __future__ import annotations

from uuid import UUID, uuid4

from opsconsole.worker import calm_garbage_collector
from sync.jobs import run_as
from sync.models import Job, JobState, Mode
from sync.operations.workers import this_process


def check(organization: UUID, mode: Mode = Mode.REPORT) -> Job:
    """The whole job: row, claim, attempt, checkpoints, drift rows, end. Raises what the job raises."""
    calm_garbage_collector()
    job = Job.objects.create(mode=mode, organization_id=str(organization), trace_id=uuid4(), created_by="benchmarks")
    run_as(job.pk, this_process("benchmarks"))
    job.refresh_from_db()
    if job.state != JobState.DONE:
        raise RuntimeError(f"job {job.pk} is {job.state}: {job.error}")
    return job


def check_and_expect(organization: UUID, drift: int, mode: Mode = Mode.REPORT) -> Job:
    """As `check`. Raises RuntimeError where it finds another drift than is there: a fast wrong answer is no figure."""
    job = check(organization, mode)
    if job.drift_found != drift:
        raise RuntimeError(f"job {job.pk} found {job.drift_found} out of sync, and there are {drift}")
    return job
