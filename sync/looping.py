"""When a job counts as looping: decided on evidence alone, by a pure function, and why in one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now

from sync.models import Attempt, AttemptOutcome, Job

HOUR = timedelta(hours=1)
UNFINISHED = (AttemptOutcome.KILLED, AttemptOutcome.VANISHED, AttemptOutcome.FAILED, AttemptOutcome.HIBERNATED)
"""Ends of attempts that leave their job to be started again."""


@dataclass(frozen=True, slots=True)
class Limits:
    """So many `attempts` in a row may end badly at one checkpoint, less one; so many `starts` of one organization may
    come to nothing within an hour."""

    attempts: int
    starts: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """What repeated. `stalled`: attempts in a row that ended badly at the present checkpoint; `starts`: attempts at the
    organization, of whatever job, that began within the last hour and did not finish their job."""

    stalled: int
    starts: int


def looping_sentence(evidence: Evidence, limits: Limits) -> str | None:
    """What repeated, where that makes a loop; else None."""
    if evidence.stalled >= limits.attempts:
        return f"{evidence.stalled} attempts in a row ended without the checkpoint moving: looping."
    if evidence.starts > limits.starts:
        return (
            f"The organization was started {evidence.starts} times within an hour without its job being done: "
            f"looping (the limit is {limits.starts})."
        )
    return None


def limits() -> Limits:
    return Limits(settings.LOOPING_ATTEMPTS, settings.LOOPING_STARTS_PER_HOUR)


def evidence_of(job: Job, *, stalled: int) -> Evidence:
    """The evidence after an attempt at `job` has ended. One query, none for a list of tasks: it has no organization."""
    if not job.organization_id:
        return Evidence(stalled, 0)
    began = Now() - HOUR
    recent = Q(job__ended_at=None) | Q(job__ended_at__gte=began)
    starts = Attempt.objects.filter(
        recent, job__organization_id=job.organization_id, range_number=0, started_at__gte=began, outcome__in=UNFINISHED
    )
    return Evidence(stalled, starts.count())
