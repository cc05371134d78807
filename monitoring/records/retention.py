"""How long counts of records are kept; thinning them before that is the clock's."""

from __future__ import annotations

from monitoring.records.models import Snapshot
from opsconsole.retention import ROWS_PER_STEP, Bounds, Portion, kind


@kind("snapshots", "Counts of records by status", "SNAPSHOTS_KEPT_DAYS")
def remove_snapshots(bounds: Bounds, after: int) -> Portion:
    found = list(Snapshot.objects.filter(pk__gt=after).order_by("pk").values_list("pk", "taken_at")[:ROWS_PER_STEP])
    aged = [number for number, at in found if at < bounds.before]
    removed = Snapshot.objects.filter(pk__in=aged).delete()[0]
    return Portion({"snapshots": removed}, found[-1][0] if aged and len(found) == ROWS_PER_STEP else None)
