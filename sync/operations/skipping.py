"""Skip by job: the job is stopped where it is active, and its organization goes on the skip list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from opsconsole import audit
from opsconsole.errors import UsageError
from opsconsole.words import counted
from sync.models import Job, SkippedOrganization, SkipReason, Step
from sync.operations.bulk import lock_jobs, move, require_few, require_seen
from sync.operations.ladder import take


@dataclass(frozen=True, slots=True)
class SkippedJobs:
    """`added` and `already` count organizations on the skip list; `cancelled` and `asked` count jobs."""

    added: int
    already: int
    cancelled: int
    asked: int

    def sentence(self) -> str:
        parts = [f"{counted(self.added, 'organization')} put on the skip list"]
        for count, what in (
            (self.already, f"{self.already:,} on it already"),
            (self.cancelled, f"{counted(self.cancelled, 'waiting job')} cancelled"),
            (self.asked, f"{counted(self.asked, 'running job')} asked to stop"),
        ):
            parts += [what] if count else []
        return "; ".join(parts) + "."


def skip_job(job: Job, reason: SkipReason, note: str, actor: audit.Actor) -> SkippedJobs:
    """`skip_jobs` for one. Raises UsageError."""
    return skip_jobs([job.pk], reason, note, actor)


def skip_jobs(job_ids: Sequence[int], reason: SkipReason, note: str, actor: audit.Actor) -> SkippedJobs:
    """Put the organizations of these jobs on the skip list, each with its newest job, and stop those that are active.

    Jobs without an organization are left as they are. Raises UsageError for none, or more than a thousand.
    """
    require_few(job_ids)
    require_seen(job_ids)
    with transaction.atomic():
        result, batches = _skip(job_ids, reason, note, actor)
    move(batches)
    return result


def _skip(
    job_ids: Sequence[int], reason: SkipReason, note: str, actor: audit.Actor
) -> tuple[SkippedJobs, tuple[int, ...]]:
    jobs = [job for job in lock_jobs(job_ids) if job.organization_id]
    if not jobs:
        raise UsageError("None of these jobs has an organization that could be skipped; nothing was changed.")
    newest = {job.organization_id: job for job in jobs}
    names = {organization: job.organization_name for organization, job in newest.items()}
    numbers = {organization: job.pk for organization, job in newest.items()}
    added = SkippedOrganization.objects.put_on(names, reason, note, actor.name, numbers)
    stopped = take(jobs, Step.CANCEL, actor.name, note, how=" with its organization skipped,")
    result = SkippedJobs(len(added), len(newest) - len(added), len(stopped.waiting), len(stopped.asked))
    audit.record(
        actor,
        "organizations.skipped",
        f"job:{jobs[0].pk}" if len(job_ids) == 1 else "jobs",
        reason=note,
        why=reason.value,
        added=len(added),
        already=len(newest) - len(added),
        stopped=sorted((*stopped.waiting, *stopped.asked)),
        jobs=[job.pk for job in jobs],
        organizations=added,
    )
    return result, stopped.batches
