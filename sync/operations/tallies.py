"""The running totals: what they are, and keeping them few."""

from __future__ import annotations

from django.db import connection
from django.db.models import Sum

from sync.models import Tally
from sync.models.tally import COUNTERS

SUMS = ", ".join(f"sum({name}) AS {name}" for name in COUNTERS)
ADDED = ", ".join(f"{name} = kept.{name} + excluded.{name}" for name in COUNTERS)
GATHER = f"""
WITH gone AS (
    DELETE FROM sync_tally WHERE backend IN (
        SELECT backend FROM sync_tally
        WHERE backend <> 0 AND backend NOT IN (SELECT pid FROM pg_stat_activity)
        FOR UPDATE SKIP LOCKED
    ) RETURNING *
)
INSERT INTO sync_tally AS kept (backend, {", ".join(COUNTERS)})
SELECT 0, {SUMS} FROM gone HAVING count(*) > 0
ON CONFLICT (backend) DO UPDATE SET {ADDED}
"""  # noqa: S608  (the names are the model's own)


def totals() -> dict[str, int]:
    """Every counter, over all jobs that there ever were. One query over as many rows as there are connections."""
    sums = Tally.objects.aggregate(**{name: Sum(name) for name in COUNTERS})
    return {name: sums[name] or 0 for name in COUNTERS}


def gather_tallies() -> None:
    """Put the rows of connections that are gone into one. A duty of the clock; the totals stay what they are."""
    with connection.cursor() as cursor:
        cursor.execute(GATHER)
