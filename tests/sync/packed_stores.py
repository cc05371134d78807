"""A source and an index with a column of every kind, and the drift between them found in each way there is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
from psycopg import sql

from opsconsole.estate.model import Estate, Index, IndexAdapter, OrganizationTable, TaskTable
from opsconsole.estate.model import Source as SourceSettings
from opsconsole.keys import Key, KeyKind, restore_key
from sync.engine.packed_walk import Pace, PackedWalk
from sync.engine.rows import DriftKind, Row, Side
from sync.engine.values import to_json
from sync.engine.walk import Look, walk
from sync.index import open_index
from sync.index.postgres import PostgresIndex
from sync.packing import PackedPair, pack_both
from sync.secondlook import ByText, ByValue, SecondLook
from sync.source import Source
from tests.sync.index_server import IndexServer
from tests.sync.stores import Store, estate_of, temporary_store

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SETTLE = timedelta(seconds=10)
OLD, YOUNG = NOW - timedelta(hours=1), NOW - timedelta(seconds=3)
HERE, THERE = 1, 2

# Compared columns: type in the source, type in the index.
COLUMNS = {
    "title": ("text", "varchar"),
    "state": ("state_of_task", "text"),
    "count": ("integer", "bigint"),
    "amount": ("numeric(20, 6)", "numeric"),
    "score": ("double precision", "double precision"),
    "done": ("boolean", "boolean"),
    "person": ("uuid", "uuid"),
    "due": ("timestamptz", "timestamptz"),
    "local": ("timestamp", "timestamp"),
    "day": ("date", "date"),
    "meta": ("jsonb", "json"),
}
KEY_TYPES = {KeyKind.UUID: "uuid", KeyKind.INTEGER: "bigint", KeyKind.TEXT: "text"}
PLAIN = {
    "title": "Call back",
    "state": "waiting",
    "count": "7",
    "amount": "1.5",
    "score": "0.1",
    "done": "true",
    "person": "a3bb189e-8bf9-3888-9912-ace4e6543002",
    "due": "2026-03-08 01:30:00.000001+00",
    "local": "2026-03-08 01:30:00",
    "day": "2026-03-08",
    "meta": '{"a": [1, null]}',
}

Values = Mapping[str, str | None]
Found = dict[Key, tuple[DriftKind, tuple[str, ...]]]


def task_key(kind: KeyKind, number: int) -> Key:
    """Rising with `number`, which may be negative for integers."""
    return UUID(int=number + 2**64) if kind is KeyKind.UUID else number


@dataclass(frozen=True)
class Task:
    """One row of one side; values as PostgreSQL reads them from text."""

    key: Key
    values: Values
    organization: int = HERE
    updated_at: datetime = OLD
    deleted: bool | None = False


@dataclass(frozen=True)
class Stores:
    """Both sides open, and what they are made of."""

    kind: KeyKind
    estate: Estate
    stores: tuple[Store, Store]
    source: Source
    index: PostgresIndex
    server: IndexServer
    http: Side

    def fill(self, source: Sequence[Task], index: Sequence[Task]) -> None:
        """Replace all rows of both sides."""
        for place, (store, tasks) in enumerate(zip(self.stores, (source, index), strict=True)):
            with psycopg.connect(store.url) as connection:
                table = sql.Identifier(store.schema, "tasks")
                connection.execute(sql.SQL("DELETE FROM {}").format(table))
                columns = ("id", "organization_id", "updated_at", *(("deleted",) if place == 0 else ()), *COLUMNS)
                given: list[sql.Composable] = [sql.SQL("%s")] * (len(columns) - len(COLUMNS))
                given += [sql.SQL("%s::{}").format(_type(store, types[place])) for types in COLUMNS.values()]
                statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                    table, sql.SQL(", ").join(map(sql.Identifier, columns)), sql.SQL(", ").join(given)
                )
                rows = [_row(task, place) for task in tasks]
                connection.cursor().executemany(statement, rows)

    def pair(self) -> PackedPair | str:
        return pack_both(self.source.tasks, self.index.tasks)

    def looks(self, way: str, limit: int, stack: ExitStack) -> Iterator[Look]:
        if way == "packed":
            pair = self.pair()
            assert isinstance(pair, PackedPair), pair
            threads = [stack.enter_context(ThreadPoolExecutor(1)) for _ in range(2)]
            pace = Pace(limit, clock=lambda: 0.0)
            return PackedWalk(*pair.sides(), HERE, pair.codec, *threads, pace=pace).looks(None)
        return walk(self.source, self._side(way), HERE, after=None, limit=limit)

    def second_look(self, way: str, home: Key | None = HERE) -> SecondLook:
        """By text for the packed way, where nearly all belong to `home`; by value for the others."""
        names = self.estate.source.tasks.compare
        if way != "packed":
            return ByValue(self.source, self._side(way), names, self.kind, SETTLE)
        pair = self.pair()
        assert isinstance(pair, PackedPair), pair
        return ByText(self.source.tasks, self.index.tasks, pair, names, SETTLE, home)

    def _side(self, way: str) -> Side:
        """The index as the adapter of this way reads it."""
        if way != "http":
            return self.index
        rows = [row for organization in (HERE, THERE) for row in self.index.page(organization, None, 10_000)]
        self.server.tasks = [_as_task(row) for row in sorted(rows, key=lambda row: row.key)]
        return self.http

    def check(self, way: str, limit: int = 4) -> tuple[Found, int, int]:
        """Drift found, differences too young to judge, and source tasks scanned."""
        found: Found = {}
        unsettled = scanned = 0
        again = self.second_look(way)
        with ExitStack() as stack:
            for look in self.looks(way, limit, stack):
                judged = again(look.suspects, lambda: NOW)
                found |= {
                    restore_key(self.kind, finding.task_id): (finding.kind, finding.fields)
                    for finding in judged.findings
                }
                unsettled += judged.unsettled
                scanned += look.scanned
        return found, unsettled, scanned


@contextmanager
def open_stores(admin_url: str, kind: KeyKind, *, index_options: str = "") -> Iterator[Stores]:
    """Empty tables on both sides. `index_options`: PostgreSQL options of the console's connection to the index."""
    with ExitStack() as stack:
        source, index = (stack.enter_context(temporary_store(admin_url)) for _ in range(2))
        source.run("CREATE TYPE state_of_task AS ENUM ('waiting', 'in progress', 'completed')")
        for place, store in enumerate((source, index)):
            columns = ", ".join(f"{name} {types[place]}" for name, types in COLUMNS.items())
            store.run(
                f"CREATE TABLE tasks (id {KEY_TYPES[kind]} PRIMARY KEY, organization_id integer,"
                f" updated_at timestamptz, deleted boolean, {columns})"
            )
        estate = _estate(source, index, kind, index_options)
        opened = stack.enter_context(Source(estate.source)), stack.enter_context(PostgresIndex(estate))
        server = stack.enter_context(IndexServer().running())
        over_http = estate_of(estate.source, Index(IndexAdapter.HTTP, server.url))
        http = stack.enter_context(open_index(over_http))
        yield Stores(kind, estate, (source, index), *opened, server, http)


def _estate(source: Store, index: Store, kind: KeyKind, index_options: str) -> Estate:
    tasks = TaskTable(
        source.table("tasks"),
        organization="organization_id",
        compare=tuple(COLUMNS),
        id_type=kind,
        status="state",
        deleted="deleted",
    )
    organizations = OrganizationTable("organizations", id_type=KeyKind.INTEGER)
    url = psycopg.conninfo.make_conninfo(index.url, options=index_options) if index_options else index.url
    there = Index(IndexAdapter.POSTGRES, url, index.table("tasks"))
    return estate_of(SourceSettings(source.url, organizations, tasks), there)


def _type(store: Store, name: str) -> sql.Composable:
    return sql.Identifier(store.schema, name) if name == "state_of_task" else sql.SQL(name)


def _row(task: Task, place: int) -> list[object]:
    marks = [task.deleted] if place == 0 else []
    return [task.key, task.organization, task.updated_at, *marks, *(task.values[name] for name in COLUMNS)]


def _as_task(row: Row) -> dict[str, object]:
    fields = dict(zip(COLUMNS, map(to_json, row.values), strict=True))
    return {"id": to_json(row.key), "organization_id": to_json(row.organization), **fields}
