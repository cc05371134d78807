"""Everything about one customer, as the console knows it: staged, skipped, at work, last checked."""

from __future__ import annotations

from dataclasses import dataclass

from sync.models import Job, JobKind, JobState, SkippedOrganization, StagedOrganization
from sync.models.states import ORGANIZATION_KINDS

SHOWN = ("mode", "state", "kind", "organization_name", "ended_at", "stale", "missing", "orphan", "unresolved")


@dataclass(frozen=True, slots=True)
class Standing:
    """How an organization stands. `last_check` is the latest check of all its tasks that was done."""

    organization_id: str
    name: str
    staged: StagedOrganization | None
    skipped: SkippedOrganization | None
    active: Job | None
    last_check: Job | None


def standing_of(organization_id: str) -> Standing:
    """By its bare id. Four queries, each by an index; an id that nobody has met has an empty standing."""
    jobs = Job.objects.filter(organization_id=organization_id, kind__in=ORGANIZATION_KINDS).only(*SHOWN).order_by("-pk")
    active = jobs.active().first()
    last_check = jobs.filter(kind=JobKind.ORGANIZATION, state=JobState.DONE).first()
    staged = StagedOrganization.objects.filter(pk=organization_id).first()
    skipped = SkippedOrganization.objects.open().filter(organization_id=organization_id).first()
    names = (
        one.name if isinstance(one, StagedOrganization | SkippedOrganization) else one.organization_name
        for one in (staged, active, last_check, skipped)
        if one is not None
    )
    return Standing(organization_id, next(filter(None, names), ""), staged, skipped, active, last_check)
