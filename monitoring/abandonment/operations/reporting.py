"""Systems that report their tasks themselves: the same evaluation, with what they say in place of a look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from django.db import transaction

from monitoring.abandonment.models import SourceLook, TrackedTask
from monitoring.abandonment.operations import outages
from monitoring.abandonment.operations.carrying_out import forget
from monitoring.abandonment.operations.looking import Looked, around_of, take
from monitoring.abandonment.source import SeenTask
from opsconsole import audit, estate
from opsconsole.errors import UsageError
from opsconsole.estate.model import TrackedSource

MOST = 1_000
"""Tasks in one report: it is one transaction."""


def report(name: str, seen: Sequence[SeenTask], gone: Sequence[str], actor: audit.Actor, now: datetime) -> Looked:
    """Take over what a system says of its tasks now, and do what follows. `gone` are the keys of those it has no more.

    A task that is not reported for three intervals of its source is unknown, and that time does not count. Audited,
    without the tasks. Raises UsageError for a source that does not report, and for too many tasks at once.
    """
    source = reporting_source(name)
    if len(seen) + len(gone) > MOST:
        raise UsageError(f"{len(seen) + len(gone):,} tasks are too many for one report; {MOST:,} are allowed.")
    looked = Looked()
    with transaction.atomic():
        SourceLook.objects.bulk_create([SourceLook(source=name)], ignore_conflicts=True)
        look = SourceLook.objects.select_for_update().get(source=name)
        # Each task is as old as its own last report: a portion says nothing about those that are not in it.
        take(replace(around_of(source, now), looked_at=None), seen, looked)
        looked.gone = forget(TrackedTask.objects.filter(source=name, key__in=gone, gone_at=None), now)
        look.looked_at = look.tried_at = now
        look.tasks = TrackedTask.objects.filter(source=name, gone_at=None).count()
        look.busy_until = None
        look.save()
        outages.detect(source, now)
        audit.record(actor, "tracked_tasks.reported", f"tracked_source:{name}", tasks=looked.tasks, gone=looked.gone)
    return looked


def reporting_source(name: str) -> TrackedSource:
    """Raises UsageError."""
    reporting = {one.name: one for one in estate.current().tracked_tasks if one.reported}
    if name not in reporting:
        allowed = ", ".join(sorted(reporting)) or "none: name one in the estate file, with reported = true"
        raise UsageError(f"There is no source {name!r} that reports its tasks; there are {allowed}.")
    return reporting[name]
