"""What is kept of the past of tracked tasks: when they failed, when many did at once, when nobody could see them."""

from __future__ import annotations

from typing import TypeVar

from django.db.models import Model, QuerySet

from monitoring.abandonment.models import FailingSpell, LookGap, ScopeOutage
from opsconsole.retention import ROWS_PER_STEP, Bounds, Portion, kind

SETTING = "TRACKED_HISTORY_KEPT_DAYS"
M = TypeVar("M", bound=Model)


@kind("failing_spells", "Times in which tracked tasks failed", SETTING)
def remove_spells(bounds: Bounds, after: int) -> Portion:
    return _remove_ended(FailingSpell.objects.all(), "failing spells", bounds, after)


@kind("scope_outages", "Outages of scopes of tracked tasks", SETTING)
def remove_outages(bounds: Bounds, after: int) -> Portion:
    return _remove_ended(ScopeOutage.objects.all(), "scope outages", bounds, after)


@kind("look_gaps", "Times in which nobody could see tracked tasks", SETTING)
def remove_gaps(bounds: Bounds, after: int) -> Portion:
    return _remove_ended(LookGap.objects.all(), "gaps of looks", bounds, after)


def _remove_ended(rows: QuerySet[M], what: str, bounds: Bounds, after: int) -> Portion:
    """Of the next rows, those that ended long ago. Two queries."""
    columns = ("pk", "began_at", "ended_at")
    found = list(rows.filter(pk__gt=after).order_by("pk").values_list(*columns)[:ROWS_PER_STEP])
    aged = [row for row in found if row[1] < bounds.before]
    old = [number for number, _, ended in aged if ended is not None and ended < bounds.before]
    removed = rows.filter(pk__in=old).delete()[0]
    return Portion({what: removed}, found[-1][0] if aged and len(found) == ROWS_PER_STEP else None)
