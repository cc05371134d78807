"""Changing the window and the limits of a record source; the estate's are what they go back to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import transaction

from monitoring.records.ages import Ages, written
from monitoring.records.models import ChangedLimits
from opsconsole import audit, scope
from opsconsole.errors import UsageError
from opsconsole.estate.model import RecordSource
from opsconsole.scope import OutsideScopeError


def change(
    source: RecordSource, ages: Ages, limits: Mapping[str, float], actor: audit.Actor, reason: str, now: datetime
) -> None:
    """Set the window and the limits (seconds by status); what equals the estate's follows the estate from then on.

    Raises UsageError for a status that is not in the guide, OutsideScopeError.
    """
    _require_all_organizations()
    known = {one.status: one.limit for one in source.statuses}
    if unknown := sorted(set(limits) - set(known)):
        raise UsageError(f"Only statuses of the guide can have a limit; {unknown[0]!r} is not in it.")
    own = {status: seconds for status, seconds in limits.items() if seconds != known[status]}
    row = ChangedLimits(
        source=source.name,
        older_than=None if ages.older == source.older_than else timedelta(seconds=ages.older),
        younger_than=None if ages.younger == source.younger_than else timedelta(seconds=ages.younger),
        limits=own,
        changed_by=actor.name,
        changed_at=now,
    )
    with transaction.atomic():
        row.save()
        audit.record(
            actor,
            "record_limits.changed",
            f"records:{source.name}",
            reason=reason,
            older_than=written(ages.older),
            younger_than=written(ages.younger),
            limits={status: written(seconds) for status, seconds in limits.items()},
        )


def reset(source: RecordSource, actor: audit.Actor, reason: str) -> bool:
    """Go back to the estate's window and limits. False where nothing was changed. Raises OutsideScopeError."""
    _require_all_organizations()
    with transaction.atomic():
        gone, _ = ChangedLimits.objects.filter(pk=source.name).delete()
        if gone:
            audit.record(actor, "record_limits.reset", f"records:{source.name}", reason=reason)
    return bool(gone)


def _require_all_organizations() -> None:
    if scope.current().organizations is not None:
        raise OutsideScopeError(
            "The limits hold for the records of all organizations, and your groups are limited to some; nothing was "
            "changed."
        )
