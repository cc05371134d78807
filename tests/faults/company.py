"""The company of a round: small, new each time, and damaged in a way that this file can count by itself."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import psycopg

from opsconsole.demo.addresses import ServerAddresses
from opsconsole.demo.company import Size, create_schema, drop_schema, populate
from opsconsole.demo.gap import Gap, make_gap

SIZE = Size(organizations=9, tasks=1_200, largest=400)
LOST = 160
HIT = 6
HIT_WHILE_LATE = 2  # fewer than workers: those that wait for a late index are not free for what was struck
ORPHANS = 6
TOO_LARGE = 3 * 1024 * 1024
COLUMNS = "id, organization_id, status, title, assignee_id, due_at"


@dataclass(frozen=True, slots=True)
class Damaged:
    """A company some of whose messages were lost: `drift` now, living `tasks` of each organization, and the task that
    no broker takes, if it has one."""

    gap: Gap
    drift: frozenset[UUID]
    tasks: dict[UUID, int]
    too_large: UUID | None


def make_damaged(addresses: ServerAddresses, seed: str, *, too_large: bool, index_late: bool) -> Damaged:
    """In the place of the company of the round before. Everything follows from `seed` (but for the times)."""
    source, index = addresses.source_owner_url, addresses.index_owner_url
    hit = HIT_WHILE_LATE if index_late else HIT
    drop_schema(source, index)
    create_schema(source, index)
    populate(source, index, seed=_number(seed), size=SIZE)
    gap = make_gap(source, seed=_number(seed), size=LOST, organizations=hit)
    _delete_some(source, gap.organizations[0])
    large = _enlarge(source, gap.organizations[-1]) if too_large else None
    return Damaged(gap, drifting(addresses), _living(source), large)


def _number(seed: str) -> int:
    return int.from_bytes(seed.encode(), "big") % 2**62


def _delete_some(source: str, organization: UUID) -> None:
    """Tasks that are gone altogether: orphans on the index."""
    with psycopg.connect(source) as connection:
        connection.execute(
            "DELETE FROM tasks WHERE id IN (SELECT id FROM tasks WHERE organization_id = %s AND deleted_at IS NULL"
            " AND version > 1 ORDER BY id LIMIT %s)",
            [organization, ORPHANS],
        )


def _enlarge(source: str, organization: UUID) -> UUID:
    """A task whose message is over every limit."""
    with psycopg.connect(source) as connection:
        row = connection.execute(
            "UPDATE tasks SET title = repeat('x', %s), version = version + 1 WHERE id = (SELECT id FROM tasks"
            " WHERE organization_id = %s AND deleted_at IS NULL ORDER BY id OFFSET 3 LIMIT 1) RETURNING id",
            [TOO_LARGE, organization],
        ).fetchone()
    assert row
    return UUID(str(row[0]))


def shorten(addresses: ServerAddresses, task: UUID) -> None:
    """What the company does about a title that no message can carry."""
    with psycopg.connect(addresses.source_owner_url) as connection:
        connection.execute("UPDATE tasks SET title = left(title, 80), version = version + 1 WHERE id = %s", [task])


def _living(source: str) -> dict[UUID, int]:
    with psycopg.connect(source) as connection:
        rows = connection.execute("SELECT organization_id, count(*) FROM tasks WHERE deleted_at IS NULL GROUP BY 1")
        return dict(rows.fetchall())


def drifting(addresses: ServerAddresses) -> frozenset[UUID]:
    """Tasks on which the sides differ. Reads all of both; shares nothing with the console."""
    mine = _rows(addresses.source_url, f"SELECT {COLUMNS} FROM tasks WHERE deleted_at IS NULL")  # noqa: S608
    theirs = _rows(addresses.index_url, f"SELECT {COLUMNS} FROM tasks")  # noqa: S608
    return frozenset(key for key in mine.keys() | theirs.keys() if mine.get(key) != theirs.get(key))


def _rows(url: str, query: str) -> dict[UUID, tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return {row[0]: row for row in connection.execute(query.encode())}
