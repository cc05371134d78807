"""Companies of benchmark size: the company's tables and words, but the source's server makes the rows.

Python would take minutes for millions of tasks. Here the server computes every value from the task's number and the
seed, and the index gets the rows by binary COPY. The same layout makes the same company again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from math import gcd
from random import Random
from uuid import UUID

import psycopg
from psycopg import sql

from opsconsole.demo.company import HISTORY, STATUSES, TASKS_PER_PERSON, create_schema
from opsconsole.demo.names import organization_names, task_titles

COMPARED = ("status", "title", "assignee_id", "due_at")
STRIDE = (
    1_000_003  # a prime: steps of it meet every task once, and neighbours on disk belong to different organizations
)
BUILD_MEMORY = "256MB"
FIRST_DAY = datetime(2026, 5, 1, tzinfo=UTC)
# Keys and indexes are made after the load, which is several times as fast for it.
EMPTY = (sql.SQL("ALTER TABLE tasks SET UNLOGGED"), sql.SQL("ALTER TABLE tasks DROP CONSTRAINT tasks_pkey"))


@dataclass(frozen=True, slots=True)
class Band:
    """So many organizations with so many tasks each."""

    organizations: int
    tasks: int

    @property
    def total(self) -> int:
        return self.organizations * self.tasks


@dataclass(frozen=True, slots=True)
class Layout:
    """A company by the sizes of its organizations, numbered through the bands in order.

    `compared` are the columns that the index over (organization, id) covers. Of every `deleted_each` tasks one is
    marked deleted (0: none), of every `late_each` one was updated long after it was made. `wide` repeats each title.
    """

    bands: tuple[Band, ...]
    compared: tuple[str, ...] = COMPARED
    seed: int = 2026
    now: datetime = FIRST_DAY
    deleted_each: int = 0
    late_each: int = 5
    wide: int = 1

    @property
    def tasks(self) -> int:
        return sum(band.total for band in self.bands)

    @property
    def organizations(self) -> int:
        return sum(band.organizations for band in self.bands)

    def organization(self, number: int) -> UUID:
        """The id of organization `number`, as the server computes it."""
        digest = hashlib.md5(f"organization {self.seed} {number}".encode(), usedforsecurity=False)
        return UUID(bytes=digest.digest())

    def numbers(self, band: int) -> range:
        """The numbers of the organizations of one band."""
        first = sum(earlier.organizations for earlier in self.bands[:band])
        return range(first, first + self.bands[band].organizations)


def make_company(source_owner_url: str, index_owner_url: str, layout: Layout) -> None:
    """Make the tables, rows and indexes of both sides, all tasks indexed: a million tasks take about 12 s on two cores.

    The tables are unlogged: nothing of such a company is to survive a crash of its server.
    """
    create_schema(source_owner_url, index_owner_url)
    for url in (source_owner_url, index_owner_url):
        _run(url, EMPTY)
    with ThreadPoolExecutor(2) as pool:
        middle = layout.tasks // 2
        halves = ((0, middle), (middle, layout.tasks))
        list(pool.map(lambda half: _run(source_owner_url, [_insert(layout, *half)]), halves))
        _copy_across(source_owner_url, index_owner_url)
        sides = ((source_owner_url, _source_finish(layout)), (index_owner_url, _finish(layout)))
        list(pool.map(lambda side: _run(*side), sides))
    _name_organizations(source_owner_url, layout)


def _run(url: str, steps: Iterable[sql.Composed | sql.SQL]) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT set_config('maintenance_work_mem', %s, false)", (BUILD_MEMORY,))
        for step in steps:
            connection.execute(step)


def _insert(layout: Layout, begin: int, end: int) -> sql.Composed:
    columns = "id, organization_id, title, status, assignee_id, due_at, version, created_at, updated_at, deleted_at"
    return sql.SQL("INSERT INTO tasks ({columns}) SELECT {columns} FROM ({tasks}) made").format(
        columns=sql.SQL(columns), tasks=_tasks(layout, begin, end)
    )


def _copy_across(source_owner_url: str, index_owner_url: str) -> None:
    columns = "id, organization_id, status, title, assignee_id, due_at, version, updated_at"
    out = f"COPY (SELECT {columns} FROM tasks WHERE deleted_at IS NULL) TO STDOUT (FORMAT binary)"  # noqa: S608
    back = f"COPY tasks ({columns}) FROM STDIN (FORMAT binary)"
    with (
        psycopg.connect(source_owner_url) as source,
        psycopg.connect(index_owner_url) as index,
        source.cursor().copy(out.encode()) as outgoing,
        index.cursor().copy(back.encode()) as incoming,
    ):
        for block in outgoing:
            incoming.write(block)


def _name_organizations(source_owner_url: str, layout: Layout) -> None:
    names = organization_names(Random(layout.seed), layout.organizations)
    with (
        psycopg.connect(source_owner_url) as connection,
        connection.cursor().copy("COPY organizations (id, name, created_at) FROM STDIN") as copy,
    ):
        for number, name in enumerate(names):
            copy.write_row((layout.organization(number), name, layout.now - HISTORY))
    _run(source_owner_url, [sql.SQL("VACUUM ANALYZE organizations")])


def _source_finish(layout: Layout) -> Iterator[sql.Composed | sql.SQL]:
    yield sql.SQL("CREATE INDEX ON tasks (updated_at, organization_id) INCLUDE (status)")
    yield from _finish(layout, also=("deleted_at",))


def _finish(layout: Layout, also: tuple[str, ...] = ()) -> Iterator[sql.Composed | sql.SQL]:
    yield sql.SQL("ALTER TABLE tasks ADD PRIMARY KEY (id)")
    covered = sql.SQL(", ").join(map(sql.Identifier, (*layout.compared, *also)))
    yield sql.SQL("CREATE INDEX ON tasks (organization_id, id) INCLUDE ({})").format(covered)
    yield sql.SQL("VACUUM ANALYZE tasks")


def _tasks(layout: Layout, begin: int, end: int) -> sql.Composed:
    """A query that gives the tasks with numbers from `begin` to before `end`, the oldest first."""
    return sql.SQL(
        "SELECT md5('task ' || {seed} || ' ' || n)::uuid AS id,"
        " md5('organization ' || {seed} || ' ' || {organization})::uuid AS organization_id,"
        " repeat(({titles}::text[])[1 + {title}] || ' ' || (1000 + {number}), {wide}) AS title,"
        " ({statuses}::text[])[1 + {status}] AS status,"
        " CASE WHEN {assigned} < 8 THEN md5('person ' || {seed} || ' ' || {person})::uuid END AS assignee_id,"
        " CASE WHEN {has_due} < 6 THEN created_at + {due} * interval '1 hour' END AS due_at,"
        " 1 + {version} AS version, created_at, updated_at,"
        " CASE WHEN {deleted_each} > 0 AND mod(n, GREATEST({deleted_each}, 1)) = 0 THEN updated_at END AS deleted_at"
        " FROM ({moments}) moments"
    ).format(
        seed=sql.Literal(layout.seed),
        organization=_organization(layout),
        titles=sql.Literal(task_titles()),
        title=_draw(layout, 1, len(task_titles())),
        number=_draw(layout, 2, 9_000),
        wide=sql.Literal(layout.wide),
        statuses=sql.Literal(list(STATUSES)),
        status=_draw(layout, 3, len(STATUSES)),
        assigned=_draw(layout, 4, 10),
        person=_draw(layout, 5, max(1, layout.tasks // TASKS_PER_PERSON)),
        has_due=_draw(layout, 6, 10),
        due=_draw(layout, 7, 1_500),
        version=_draw(layout, 8, 6),
        deleted_each=sql.Literal(layout.deleted_each),
        moments=_moments(layout, begin, end),
    )


def _moments(layout: Layout, begin: int, end: int) -> sql.Composed:
    """Task numbers with the time of their making, spread evenly over the history, and of their last update."""
    late = sql.SQL("mod({}, {}) = 0").format(_draw(layout, 9, 1_000_000), sql.Literal(layout.late_each))
    return sql.SQL(
        "SELECT n, created_at, created_at + ({end}::timestamptz - created_at)"
        " * (CASE WHEN {late} THEN {share} / 1000000.0 ELSE 0 END) AS updated_at"
        " FROM (SELECT n, {end}::timestamptz - (1 - n / {total}::float8) * {history}::interval AS created_at"
        " FROM generate_series({begin}, {last}) n) made"
    ).format(
        end=sql.Literal(layout.now.isoformat()),
        late=late,
        share=_draw(layout, 10, 1_000_000),
        total=sql.Literal(layout.tasks),
        begin=sql.Literal(begin),
        last=sql.Literal(end - 1),
        history=sql.Literal(f"{HISTORY.days} days"),
    )


def _organization(layout: Layout) -> sql.Composed:
    """The number of the organization of task n. Each organization gets exactly the tasks of its band."""
    if gcd(STRIDE, layout.tasks) != 1:
        raise ValueError(f"{layout.tasks} tasks are a multiple of {STRIDE}: take another number")
    place = sql.SQL("mod(n::int8 * {}, {})").format(sql.Literal(STRIDE), sql.Literal(layout.tasks))
    cases = [
        sql.SQL("WHEN {} < {} THEN {} + mod({}, {})").format(
            place, sql.Literal(end), sql.Literal(numbers.start), place, sql.Literal(len(numbers))
        )
        for numbers, end in zip(
            map(layout.numbers, range(len(layout.bands))),
            accumulate(band.total for band in layout.bands),
            strict=True,
        )
        if numbers
    ]
    # A band need not begin at a multiple of its organizations: a run of places still meets each equally often.
    return sql.SQL("(CASE {} END)").format(sql.SQL(" ").join(cases))


def _draw(layout: Layout, what: int, below: int) -> sql.Composed:
    """A number from 0 to `below` - 1 that task n draws for `what`."""
    return sql.SQL("mod(hashint8extended(n, {}) & 2147483647, {})").format(
        sql.Literal(layout.seed * 100 + what), sql.Literal(below)
    )
