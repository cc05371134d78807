"""The demonstration company: organizations and tasks in the source, the same state in the index, all from one seed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

import psycopg

from opsconsole.demo.names import organization_names, task_titles

SOURCE_SCHEMA = """
CREATE TABLE organizations (id uuid PRIMARY KEY, name text NOT NULL, created_at timestamptz NOT NULL);
CREATE TABLE tasks (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    title text NOT NULL,
    status text NOT NULL CHECK (status IN ('waiting', 'in_progress', 'completed', 'cancelled')),
    assignee_id uuid,
    due_at timestamptz,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz
);
"""
INDEX_SCHEMA = """
CREATE TABLE tasks (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    status text NOT NULL,
    title text NOT NULL,
    assignee_id uuid,
    due_at timestamptz,
    version bigint NOT NULL,
    updated_at timestamptz NOT NULL,
    indexed_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE tombstones (id uuid PRIMARY KEY, version bigint NOT NULL, at timestamptz NOT NULL DEFAULT now());
"""
# Made after the load, which is twice as fast for it.
SOURCE_FINISH = (
    "ALTER TABLE tasks ADD FOREIGN KEY (organization_id) REFERENCES organizations",
    "CREATE INDEX ON tasks (organization_id, id)",
    "CREATE INDEX ON tasks (updated_at, organization_id) INCLUDE (status)",
    "VACUUM ANALYZE",
)
INDEX_FINISH = ("CREATE INDEX ON tasks (organization_id, id)", "VACUUM ANALYZE")

SOURCE_COPY = (
    "COPY tasks (id, organization_id, title, status, assignee_id, due_at, version, created_at, updated_at, deleted_at)"
    " FROM STDIN"
)
INDEX_COPY = "COPY tasks (id, organization_id, status, title, assignee_id, due_at, version, updated_at) FROM STDIN"
TOMBSTONE_COPY = "COPY tombstones (id, version) FROM STDIN"

STATUSES = ("waiting",) * 35 + ("in_progress",) * 15 + ("completed",) * 45 + ("cancelled",) * 5
SKEW = 1.05
HISTORY = timedelta(days=730)
MOMENTS = 20_000
DELETED_SHARE, ASSIGNED_SHARE, DUE_SHARE = 0.02, 0.8, 0.6
RECENT_SHARE = 0.004  # changed within the last day and indexed as it should be: a window finds more than the damage
TASKS_PER_PERSON = 40
NULL = r"\N"


@dataclass(frozen=True, slots=True)
class Size:
    """How large the company is: organizations, tasks of all of them, tasks of the largest one."""

    organizations: int = 300
    tasks: int = 250_000
    largest: int = 60_000


def create_schema(source_owner_url: str, index_owner_url: str) -> None:
    """Make the empty tables on both sides. `populate` adds the indexes. Errors of psycopg pass through."""
    for url, schema in ((source_owner_url, SOURCE_SCHEMA), (index_owner_url, INDEX_SCHEMA)):
        with psycopg.connect(url) as connection:
            connection.execute(schema)


def drop_schema(source_owner_url: str, index_owner_url: str) -> None:
    """Take the company's tables away again, as after a load that was cut short."""
    for url in (source_owner_url, index_owner_url):
        with psycopg.connect(url) as connection:
            connection.execute(
                "DROP TABLE IF EXISTS tasks, organizations, tombstones, uploaded_files, captures, data_planes CASCADE"
            )


def make_uuid(rng: Random) -> UUID:
    return UUID(int=rng.getrandbits(128), version=4)


def organization_sizes(size: Size) -> list[int]:
    """Tasks per organization, largest first: one giant, then a long tail. Their sum is `size.tasks`."""
    others = size.organizations - 1
    if others == 0:
        return [size.tasks]
    rest = size.tasks - min(size.largest, size.tasks)
    weights = [1 / (rank + 2) ** SKEW for rank in range(1, others + 1)]
    sizes = [math.floor(rest * weight / sum(weights)) for weight in weights]
    for rank in range(rest - sum(sizes)):
        sizes[rank % others] += 1
    return [size.tasks - rest, *sizes]


@dataclass(frozen=True, slots=True)
class Lines:
    """COPY lines of one organization's tasks for the three tables."""

    source: str
    index: str
    tombstones: str


class Writer:
    """Makes the tasks of one organization after another. The same seed and `now` make the same company."""

    def __init__(self, rng: Random, now: datetime) -> None:
        self._rng = rng
        self._titles = task_titles()
        old = sorted(rng.uniform(1, HISTORY.days) for _ in range(MOMENTS))
        self._moments = [(now - timedelta(days=days)).isoformat() for days in reversed(old)]
        self._recent = [(now - timedelta(minutes=rng.uniform(1, 1440))).isoformat() for _ in range(MOMENTS // 10)]
        self._due = [(now + timedelta(hours=rng.randint(-2000, 1500))).isoformat() for _ in range(MOMENTS // 10)]

    def lines(self, organization: UUID, tasks: int) -> Lines:
        people = [str(make_uuid(self._rng)) for _ in range(tasks // TASKS_PER_PERSON + 1)]
        source: list[str] = []
        index: list[str] = []
        tombstones: list[str] = []
        for _ in range(tasks):
            self._task(str(organization), people, source, index, tombstones)
        return Lines("".join(source), "".join(index), "".join(tombstones))

    def _task(
        self, organization: str, people: list[str], source: list[str], index: list[str], tombstones: list[str]
    ) -> None:
        draw = self._rng.random
        digits = f"{self._rng.getrandbits(128):032x}"
        key = f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
        title = f"{self._titles[int(draw() * len(self._titles))]} {int(draw() * 9000) + 1000}"
        status = STATUSES[int(draw() * 100)]
        assignee = people[int(draw() * len(people))] if draw() < ASSIGNED_SHARE else NULL
        due = self._due[int(draw() * len(self._due))] if draw() < DUE_SHARE else NULL
        created = int(draw() * MOMENTS)
        updated = self._moments[created + int(draw() * (MOMENTS - created))]
        if draw() < RECENT_SHARE:
            updated = self._recent[int(draw() * len(self._recent))]
        version = int(draw() * 6) + 1
        deleted = draw() < DELETED_SHARE
        head = f"{key}\t{organization}\t"
        source.append(
            f"{head}{title}\t{status}\t{assignee}\t{due}\t{version}\t{self._moments[created]}\t{updated}\t"
            f"{updated if deleted else NULL}\n"
        )
        if deleted:
            tombstones.append(f"{key}\t{version}\n")
        else:
            index.append(f"{head}{status}\t{title}\t{assignee}\t{due}\t{version}\t{updated}\n")


def populate(
    source_owner_url: str, index_owner_url: str, *, seed: int, size: Size | None = None, now: datetime | None = None
) -> None:
    """Fill both sides with the same company, by COPY; all tasks are indexed. 250,000 tasks take about 4 s."""
    rng, now, size = Random(seed), now or datetime.now(UTC), size or Size()
    names = organization_names(rng, size.organizations)
    identities = [make_uuid(rng) for _ in names]
    with (
        psycopg.connect(source_owner_url) as source,
        source.cursor().copy("COPY organizations (id, name, created_at) FROM STDIN") as copy,
    ):
        for identity, name in zip(identities, names, strict=True):
            copy.write_row((identity, name, now - HISTORY))
    writer = Writer(rng, now)
    pieces = (
        writer.lines(identity, tasks) for identity, tasks in zip(identities, organization_sizes(size), strict=True)
    )
    _load(source_owner_url, index_owner_url, pieces)
    with ThreadPoolExecutor(2) as pool:
        sides = ((index_owner_url, INDEX_FINISH), (source_owner_url, SOURCE_FINISH))
        list(pool.map(lambda side: _finish(*side), sides))


def _load(source_owner_url: str, index_owner_url: str, pieces: Iterator[Lines]) -> None:
    tombstones = []
    with psycopg.connect(source_owner_url) as source, psycopg.connect(index_owner_url) as index:
        with source.cursor().copy(SOURCE_COPY) as to_source, index.cursor().copy(INDEX_COPY) as to_index:
            for piece in pieces:
                to_source.write(piece.source)
                to_index.write(piece.index)
                tombstones.append(piece.tombstones)
        with index.cursor().copy(TOMBSTONE_COPY) as to_tombstones:
            to_tombstones.write("".join(tombstones))


def _finish(url: str, statements: tuple[str, ...]) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)
