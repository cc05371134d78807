"""The skip list: organizations that batches leave out until they are taken off it, or a later job has synced them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import DateTimeField, Exists, F, OuterRef, QuerySet, Subquery
from django.db.models.functions import Now

from opsconsole import audit, estate
from opsconsole.errors import UsageError
from opsconsole.scoping import require_all_seen
from opsconsole.visible import visible
from sync.models import Attempt, Job, JobState, Mode, SkippedOrganization, SkipReason
from sync.models.states import ORGANIZATION_KINDS
from sync.operations.ids import organization_rules, require_keys
from sync.operations.staging import known_organizations

LONGEST_NOTE = 5_000
LONGEST_RESOLUTION = 200


@dataclass(frozen=True, slots=True)
class SkipResult:
    """How many are new on the list, and how many were on it already and stay as they are."""

    added: int
    already: int

    def sentence(self) -> str:
        already = f"; {self.already:,} were on it already and stay as they are" if self.already else ""
        return f"{self.added:,} put on the skip list{already}."


def tidy_note(text: str) -> str:
    """A note as it is kept: one kind of line end, no blanks around it, nothing in it that cannot be seen."""
    return visible(text.replace("\r\n", "\n").replace("\r", "\n").strip())


def skip(
    lines: Iterable[str], reason: SkipReason, note: str, actor: audit.Actor, *, job: Job | None = None
) -> SkipResult:
    """Put the organizations whose ids stand in `lines` on the list: all of them or, where one is bad or unknown, none.

    Asks the source for their names. Raises UsageError and UnavailableError.
    """
    note = tidy_note(note)
    if len(note) > LONGEST_NOTE or "\x00" in note:
        raise UsageError(f"The note cannot be kept; allowed are {LONGEST_NOTE:,} characters of text.")
    keys = require_keys(lines, organization_rules(estate.current().source))
    names = known_organizations(keys)
    with transaction.atomic():
        jobs = {str(key): job.pk for key in keys} if job else None
        added = SkippedOrganization.objects.put_on(
            {str(key): names[key] for key in keys}, reason, note, actor.name, jobs
        )
        result = SkipResult(len(added), len(keys) - len(added))
        audit.record(
            actor,
            "organizations.skipped",
            f"job:{job.pk}" if job else "skip_list",
            reason=note,
            why=reason.value,
            added=result.added,
            already=result.already,
        )
    return result


def take_off(entry_ids: Sequence[int], actor: audit.Actor, reason: str) -> int:
    """Take open entries off the list; they stay as history. Returns how many the database changed.

    Raises UsageError without a reason, OutsideScopeError.
    """
    require_seen(entry_ids)
    reason = tidy_note(reason)
    if not reason:
        raise UsageError("Say why the organizations come off the list.")
    resolution = f"Taken off by {actor.name}: {reason}"[:LONGEST_RESOLUTION]
    with transaction.atomic():
        open_entries = SkippedOrganization.objects.open().filter(pk__in=entry_ids)
        changed = open_entries.update(resolved_at=Now(), resolution=resolution)
        audit.record(actor, "organizations.unskipped", "skip_list", reason=reason, taken_off=changed)
    return changed


def require_seen(entry_ids: Sequence[int]) -> None:
    """For whoever is limited: all of these entries are theirs to see. One query then. Raises OutsideScopeError."""
    require_all_seen(SkippedOrganization.objects.all(), entry_ids, "entries")


def resolve_when_synced(sender: object, *, job_ids: Sequence[int], **_: object) -> None:
    """Receiver of `jobs_ended`: what these jobs have synced comes off the list. Doing it again changes nothing."""
    resolve_synced(Job.objects.filter(pk__in=job_ids))


def resolve_missed() -> None:
    """The clock's round, for jobs whose end nobody was told of: a process that died right after its commit."""
    listed = SkippedOrganization.objects.open().values("organization_id")
    resolve_synced(Job.objects.filter(organization_id__in=listed))


def resolve_synced(jobs: QuerySet[Job]) -> int:
    """Resolve open entries whose organization one of `jobs` has synced since. Returns how many.

    Synced is: mode sync, done, nothing unresolved or set aside, and its last attempt began after the entry was made.
    A window counts as well as the whole organization: it is what people sync a skipped one by.
    """
    good = jobs.filter(kind__in=ORGANIZATION_KINDS, mode=Mode.SYNC, state=JobState.DONE, unresolved=0, set_aside=0)
    leading = Attempt.objects.filter(job=OuterRef("pk"), range_number=0)
    last = leading.order_by("-number").values("started_at")[:1]
    begun = good.annotate(last_started_at=Subquery(last, output_field=DateTimeField()))
    fitting = begun.filter(
        organization_id=OuterRef("organization_id"), last_started_at__gt=OuterRef("skipped_at")
    ).order_by("pk")
    entries = SkippedOrganization.objects.open().filter(Exists(fitting))
    found = list(entries.annotate(by_job=Subquery(fitting.values("pk")[:1])).values_list("pk", "by_job"))
    return sum(_resolve(entry_id, by_job) for entry_id, by_job in found)


def _resolve(entry_id: int, job_id: int) -> bool:
    with transaction.atomic():
        entry = SkippedOrganization.objects.open().filter(pk=entry_id)
        if not entry.update(resolved_at=Now(), resolved_by_job_id=job_id, resolution=f"Synced by job {job_id}"):
            return False
        organization = SkippedOrganization.objects.values_list("organization_id", flat=True).get(pk=entry_id)
        audit.record(
            audit.WORKER, "organizations.unskipped", f"job:{job_id}", reason="synced", organization=organization
        )
    return True


def listed(*, open_only: bool = False) -> QuerySet[SkippedOrganization]:
    """The list in the order in which it is written down: by time, then number."""
    entries = SkippedOrganization.objects.all()
    if open_only:
        entries = entries.filter(resolved_at=None)
    return entries.order_by(F("skipped_at"), "pk")
