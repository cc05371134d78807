"""The staged set: organizations that wait for a batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import transaction

from opsconsole import audit, estate, scope
from opsconsole.errors import UsageError
from opsconsole.keys import Key
from opsconsole.words import some_of
from sync.models import Job, SkippedOrganization, StagedOrganization
from sync.operations.ids import organization_rules, require_keys
from sync.source import Source

ROWS_PER_STATEMENT = 5_000


@dataclass(frozen=True, slots=True)
class StageResult:
    """What became of the given ids: how many are new in the set, and which were left out."""

    staged: int
    already: int
    active: tuple[str, ...]
    skipped: tuple[str, ...]

    def sentence(self) -> str:
        parts = [f"{self.staged:,} staged"]
        if self.already:
            parts.append(f"{self.already:,} were staged already")
        if self.active:
            parts.append(f"left out because a job is active: {some_of(list(self.active))}")
        if self.skipped:
            parts.append(f"left out because they are on the skip list: {some_of(list(self.skipped))}")
        return "; ".join(parts) + "."


def stage(
    lines: Iterable[str], actor: audit.Actor, *, origin: str = "by hand", clear_first: bool = False
) -> StageResult:
    """Stage the organizations whose ids stand in `lines`: all of them or, where one is bad or unknown, none.

    `clear_first` empties the set in the same transaction. Asks the source which organizations exist. Raises UsageError
    and UnavailableError.
    """
    keys = require_keys(lines, organization_rules(estate.current().source))
    names = known_organizations(keys)
    ids = [str(key) for key in keys]
    active = Job.objects.active_organizations(ids)
    skipped = SkippedOrganization.objects.open_organizations(ids) - active
    rows = [
        StagedOrganization(organization_id=str(key), name=names[key], staged_by=actor.name, origin=origin)
        for key in keys
        if str(key) not in active | skipped
    ]
    with transaction.atomic():
        cleared = StagedOrganization.objects.all().delete()[0] if clear_first else 0
        before = StagedOrganization.objects.filter(pk__in=[row.pk for row in rows]).count()
        StagedOrganization.objects.bulk_create(rows, batch_size=ROWS_PER_STATEMENT, ignore_conflicts=True)
        result = StageResult(len(rows) - before, before, tuple(sorted(active)), tuple(sorted(skipped)))
        audit.record(
            actor,
            "organizations.staged",
            "staged",
            staged=result.staged,
            already=before,
            cleared=cleared,
            origin=origin,
        )
    return result


def known_organizations(keys: Sequence[Key]) -> dict[Key, str]:
    """Names by key. Raises UsageError where one of them is not in the source."""
    with Source(estate.current().source) as source:
        names = source.existing_organizations(keys)
    unknown = [str(key) for key in keys if key not in names]
    if unknown:
        raise UsageError(f"Not known to the source: {some_of(unknown)}. Nothing was done.")
    return names


def unstage(organization_ids: Sequence[str], actor: audit.Actor) -> int:
    """Take organizations out of the set. Returns how many were in it. Raises OutsideScopeError."""
    scope.current().require_organizations(organization_ids)
    with transaction.atomic():
        removed, _ = StagedOrganization.objects.filter(pk__in=organization_ids).delete()
        audit.record(actor, "organizations.unstaged", "staged", removed=removed)
    return removed


def clear(actor: audit.Actor) -> int:
    """Empty the set. Returns how many were in it."""
    with transaction.atomic():
        removed, _ = StagedOrganization.objects.all().delete()
        audit.record(actor, "organizations.cleared", "staged", removed=removed)
    return removed
