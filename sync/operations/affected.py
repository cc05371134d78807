"""Which organizations were hit: those with tasks updated in a window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from opsconsole import estate
from opsconsole.times import Window
from sync.operations.ids import require_keys
from sync.source import AffectedOrganization, Source


def affected_organizations(window: Window, exclude: Iterable[str] = ()) -> Iterator[AffectedOrganization]:
    """Organizations with tasks updated in `window`, by id, streamed from the source in one statement.

    `exclude` are lines of organization ids to leave out. Raises UsageError for a bad id, UnavailableError.
    """
    settings = estate.current().source
    lines = [line for line in exclude if line.strip()]
    left_out = (
        frozenset(require_keys(lines, settings.organizations.id_type, settings.id_prefix, "organization"))
        if lines
        else frozenset()
    )
    with Source(settings) as source:
        yield from source.affected_organizations(window.start, window.end, exclude=left_out)
