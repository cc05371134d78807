"""Which organizations were hit: those with tasks updated in a window."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from opsconsole import estate, scope
from opsconsole.keys import Key, restore_key
from opsconsole.times import Window
from sync.models import Job, JobKind, JobState, SkippedOrganization, StagedOrganization
from sync.operations.ids import organization_rules, require_keys
from sync.source import AffectedOrganization, Source


@dataclass(frozen=True, slots=True)
class AffectedQuery:
    """What to look for. No `statuses`: all. `minimum` updates in the window; `exclude` are lines of ids as pasted.

    `checked_since` leaves out organizations whose check of everything was done at that time or later. `within` are the
    organizations that whoever asks may see, None for all: a thread that runs the query for them is told by this.
    """

    window: Window
    statuses: tuple[str, ...] = ()
    minimum: int = 1
    exclude_staged: bool = False
    exclude_skipped: bool = False
    checked_since: datetime | None = None
    exclude: tuple[str, ...] = ()
    within: frozenset[str] | None = field(default_factory=lambda: scope.current().organizations)


def affected_organizations(
    query: AffectedQuery, opened: Callable[[int], None] | None = None
) -> Iterator[AffectedOrganization]:
    """Organizations with tasks updated in the window, by id, streamed from the source in one statement.

    `opened` is told the source's server process before the statement starts. Raises UsageError for a bad id,
    UnavailableError (the statement timeout too).
    """
    left_out = excluded_keys(query)
    with Source(estate.current().source) as source:
        yield from source.affected_organizations(
            query.window.start,
            query.window.end,
            statuses=query.statuses,
            minimum=query.minimum,
            exclude=left_out,
            only=None if query.within is None else _restored(query.within),
            opened=opened,
        )


def excluded_keys(query: AffectedQuery) -> frozenset[Key]:
    """What the query leaves out, as the console knows it now. Up to three queries; raises UsageError for a bad id."""
    keys = set(pasted_keys(query.exclude))
    if query.exclude_staged:
        keys |= _restored(StagedOrganization.objects.values_list("pk", flat=True))
    if query.exclude_skipped:
        keys |= _restored(SkippedOrganization.objects.open().values_list("organization_id", flat=True))
    if query.checked_since is not None:
        checked = Job.objects.filter(kind=JobKind.ORGANIZATION, state=JobState.DONE, ended_at__gte=query.checked_since)
        keys |= _restored(checked.values_list("organization_id", flat=True).distinct())
    return frozenset(keys)


def pasted_keys(lines: Iterable[str]) -> tuple[Key, ...]:
    """The organizations of a pasted list, none for an empty one. Raises UsageError naming what is no id."""
    given = [line for line in lines if line.strip()]
    return require_keys(given, organization_rules(estate.current().source)) if given else ()


def _restored(ids: Iterable[str]) -> set[Key]:
    kind = estate.current().source.organizations.id_type
    return {restore_key(kind, text) for text in ids}
