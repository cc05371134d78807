"""The damage: a burst of updates in the source whose messages are lost, so that the index keeps showing what was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

import psycopg

from opsconsole.demo.company import make_uuid
from opsconsole.demo.names import task_titles

WINDOW = timedelta(minutes=40)
ENDED_BEFORE = timedelta(minutes=10)
COMPLETED_SHARE = 0.8  # the rest is halved between deletions and new tasks

COMPLETE = """
UPDATE tasks SET status = 'completed', version = version + 1, updated_at = lost.at
FROM unnest(%s::uuid[], %s::timestamptz[]) AS lost (id, at) WHERE tasks.id = lost.id
"""
MARK_DELETED = """
UPDATE tasks SET deleted_at = lost.at, version = version + 1, updated_at = lost.at
FROM unnest(%s::uuid[], %s::timestamptz[]) AS lost (id, at) WHERE tasks.id = lost.id
"""
INSERT = """
INSERT INTO tasks (id, organization_id, title, status, version, created_at, updated_at)
SELECT id, organization_id, title, 'waiting', 1, at, at
FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::timestamptz[]) AS made (id, organization_id, title, at)
"""
ACTIVE_TASKS = """
SELECT id, organization_id FROM tasks
WHERE organization_id = ANY(%s) AND status IN ('waiting', 'in_progress') AND deleted_at IS NULL ORDER BY id
"""
ORGANIZATIONS_BY_SIZE = """
SELECT organization_id FROM tasks WHERE deleted_at IS NULL GROUP BY 1 ORDER BY count(*) DESC, organization_id
"""


@dataclass(frozen=True, slots=True)
class Gap:
    """What was lost. The window is half-open [from, to), UTC, and holds the `updated_at` of everything lost but hard
    deletes, which leave no row. `lost` counts tasks that are now different in source and index."""

    window_from: datetime
    window_to: datetime
    lost: int
    organizations: tuple[UUID, ...]


def make_gap(
    source_owner_url: str,
    *,
    seed: int,
    size: int = 2_000,
    organizations: int = 40,
    hard_delete_share: float = 0.0,
    now: datetime | None = None,
) -> Gap:
    """Change `size` tasks of about `organizations` organizations, the largest among them, and tell nobody.

    Each task is changed once, so on two sides that agreed before, `lost` is exactly the drift there is now. Fewer are
    changed where there are not enough active tasks. Deterministic for a seed, a source and a `now`.
    """
    rng = Random(f"gap {seed}")  # not the row of numbers that made the company: new tasks would get its keys
    end = (now or datetime.now(UTC)) - ENDED_BEFORE
    with psycopg.connect(source_owner_url) as source:
        damage = _Damage(source, rng, end - WINDOW)
        hit = damage.choose_organizations(organizations)
        new = (size - int(size * COMPLETED_SHARE)) // 2
        changed = damage.change(hit, size - new, hard_deleted=int(size * hard_delete_share))
        damage.create(hit, new)
    return Gap(end - WINDOW, end, changed + new, tuple(hit))


class _Damage:
    def __init__(self, source: psycopg.Connection[tuple[UUID, ...]], rng: Random, window_from: datetime) -> None:
        self._source = source
        self._rng = rng
        self._from = window_from

    def _moments(self, count: int) -> list[datetime]:
        return [self._from + WINDOW * self._rng.random() for _ in range(count)]

    def choose_organizations(self, count: int) -> list[UUID]:
        largest, *others = [row[0] for row in self._source.execute(ORGANIZATIONS_BY_SIZE)]
        return [largest, *self._rng.sample(others, min(count - 1, len(others)))]

    def change(self, hit: list[UUID], count: int, *, hard_deleted: int) -> int:
        """Complete and delete active tasks; returns how many. Every organization loses one where it has any."""
        active = self._source.execute(ACTIVE_TASKS, (hit,)).fetchall()
        self._rng.shuffle(active)
        first = {organization: task for task, organization in active}
        once = set(first.values())
        chosen = [*first.values(), *(task for task, _ in active if task not in once)][:count]
        self._rng.shuffle(chosen)
        gone, rest = chosen[:hard_deleted], chosen[hard_deleted:]
        deleted = rest[: len(rest) // 9]  # 10 % of all, where completions are 80 % and new tasks 10 %
        self._update(COMPLETE, rest[len(deleted) :])
        self._update(MARK_DELETED, deleted)
        self._source.execute("DELETE FROM tasks WHERE id = ANY(%s)", (gone,))
        return len(chosen)

    def _update(self, statement: str, tasks: Sequence[UUID]) -> None:
        self._source.execute(statement.encode(), (list(tasks), self._moments(len(tasks))))

    def create(self, hit: list[UUID], count: int) -> None:
        titles = [f"{self._rng.choice(task_titles())} {self._rng.randint(1000, 9999)}" for _ in range(count)]
        keys = [make_uuid(self._rng) for _ in range(count)]
        owners = [self._rng.choice(hit) for _ in range(count)]
        self._source.execute(INSERT, (keys, owners, titles, self._moments(count)))
