"""Deleting ended jobs with all that belongs to them. What has not ended is refused, whichever door it came by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from opsconsole import audit
from opsconsole.errors import UsageError
from opsconsole.words import counted
from sync.models import Job
from sync.models.states import ACTIVE_STATES
from sync.operations.bulk import MOST, lock_jobs, require_few, require_seen
from sync.operations.ladder import Target

LEAST_AGE = timedelta(days=1)
"""Of what is purged: what ended today is still looked at."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """How many jobs the database deleted; `left_out` have not ended, are gone, or were started again meanwhile."""

    deleted: int
    left_out: int = 0
    more: bool = False

    def sentence(self) -> str:
        left_out = f"; {self.left_out:,} left out: not ended, or changed meanwhile" if self.left_out else ""
        more = f"; there are more: at most {MOST:,} go at once, do it again" if self.more else ""
        return f"{counted(self.deleted, 'job')} deleted{left_out}{more}."


def delete_jobs(targets: Sequence[Target], actor: audit.Actor, reason: str) -> Deleted:
    """Delete those of the jobs that have ended, with attempts, drift and log. The audit log keeps what they were.

    Raises UsageError where not one of them has ended, or there are more than a thousand.
    """
    require_few(targets)
    require_seen(target.job for target in targets)
    fences = {target.job: target.fence for target in targets}
    with transaction.atomic():
        locked = [job for job in lock_jobs(fences) if fences[job.pk] in (None, job.fence)]
        ended = [job for job in locked if job.status.terminal]
        if not ended:
            raise UsageError(_refusal(locked))
        _delete(ended, actor, reason, "job.deleted" if len(ended) == 1 else "jobs.deleted")
    return Deleted(len(ended), len(fences) - len(ended))


def _refusal(active: Sequence[Job]) -> str:
    if len(active) == 1:
        job = active[0]
        return (
            f"Job {job.pk} is {job.status.label.lower()}: only a job that has ended can be deleted. Cancel it, and see "
            "it end, first."
        )
    return "None of these jobs has ended, so none was deleted. Cancel them, and see them end, first."


def purge_finished(older_than: timedelta, actor: audit.Actor, reason: str) -> Deleted:
    """Delete the oldest jobs that ended before so long, at most a thousand at once. Raises UsageError."""
    if older_than < LEAST_AGE:
        raise UsageError("Only what ended a day ago or earlier is purged; what is younger is deleted by its number.")
    with transaction.atomic():
        old = Job.objects.exclude(state__in=ACTIVE_STATES).filter(ended_at__lt=Now() - older_than).order_by("pk")
        found = list(old.values_list("pk", flat=True)[: MOST + 1])
        ended = [job for job in lock_jobs(found[:MOST]) if job.status.terminal]
        if ended:
            _delete(ended, actor, reason, "jobs.purged", older_than_days=older_than.days)
    return Deleted(len(ended), more=len(found) > MOST)


def _delete(ended: Sequence[Job], actor: audit.Actor, reason: str, action: str, **details: Any) -> None:
    numbers = [job.pk for job in ended]
    subject = f"job:{numbers[0]}" if len(numbers) == 1 else "jobs"
    what = [[job.pk, job.organization_id, job.state] for job in ended]
    audit.record(actor, action, subject, reason=reason, jobs=what, **details)
    Job.objects.filter(pk__in=numbers).exclude(state__in=ACTIVE_STATES).delete()
