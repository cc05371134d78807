"""Drift spread evenly over one organization, as lost messages leave it; it can be taken back.

Of the tasks hit, eight in ten are stale in the index, one is missing there, and one is there although it was deleted.
"""

from __future__ import annotations

from uuid import UUID

import psycopg

HIT = "(uuid_hash_extended(id, 77) & 1048575) < %(hit)s AND organization_id = %(organization)s"
GRAINS = 2**20
MISSING = "(uuid_hash_extended(id, 78) & 1023) < 102"
ORPHAN = "(uuid_hash_extended(id, 78) & 1023) BETWEEN 102 AND 203"
STALE = "(uuid_hash_extended(id, 78) & 1023) > 203"

LOST_TABLE = "CREATE UNLOGGED TABLE IF NOT EXISTS lost (LIKE tasks)"
SPREAD_INDEX = (
    f"UPDATE tasks SET status = status || '_once', version = version - 1 WHERE {HIT} AND {STALE}",  # noqa: S608
    f"WITH gone AS (DELETE FROM tasks WHERE {HIT} AND {MISSING} RETURNING *) INSERT INTO lost SELECT * FROM gone",  # noqa: S608
)
SPREAD_SOURCE = (f"UPDATE tasks SET deleted_at = updated_at WHERE {HIT} AND {ORPHAN}",)  # noqa: S608
MEND_INDEX = (
    """UPDATE tasks SET status = replace(status, '_once', ''), version = version + 1
       WHERE organization_id = %(organization)s AND status LIKE '%%_once'""",
    "INSERT INTO tasks SELECT * FROM lost WHERE organization_id = %(organization)s",
    "DELETE FROM lost WHERE organization_id = %(organization)s",
)
MEND_SOURCE = (
    "UPDATE tasks SET deleted_at = NULL WHERE organization_id = %(organization)s AND deleted_at IS NOT NULL",
)


def spread_drift(source_owner_url: str, index_owner_url: str, organization: UUID, share: float) -> int:
    """Put about `share` (0 to 1) of the organization's tasks out of sync; what was before is mended first.

    Returns how many. Both tables are vacuumed, as they would be in time: checks then read the same either way. For an
    organization without tasks marked deleted.
    """
    values = {"organization": organization, "hit": round(share * GRAINS)}
    spread = (SPREAD_SOURCE, SPREAD_INDEX) if share else ((), ())
    _run(source_owner_url, (*MEND_SOURCE, *spread[0]), values)
    _run(index_owner_url, (LOST_TABLE, *MEND_INDEX, *spread[1]), values)
    with psycopg.connect(source_owner_url) as source:
        row = source.execute(f"SELECT count(*) FROM tasks WHERE {HIT}".encode(), values).fetchone()  # noqa: S608
    return int(row[0]) if row else 0


def _run(url: str, statements: tuple[str, ...], values: dict[str, object]) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode(), values)
        connection.execute("VACUUM ANALYZE tasks")
