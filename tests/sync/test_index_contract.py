"""The contract of a Side. Each index adapter and the source pass it, for every kind of key."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from psycopg.types.json import Jsonb

from opsconsole.demo.addresses import ServerAddresses
from opsconsole.estate.model import Index, IndexAdapter, OrganizationTable, TaskTable
from opsconsole.estate.model import Source as SourceSettings
from opsconsole.keys import Key, KeyKind
from sync.engine.rows import Row, Side
from sync.engine.values import agree, to_json
from sync.index import open_index
from sync.source import Source
from tests.sync.index_server import IndexServer
from tests.sync.stores import COLUMN_TYPES, Store, estate_of, key_of, temporary_store

COMPARE = ("title", "state", "due", "amount", "done", "meta")
INDEX_NAMES = {"title": "task_title", "state": "task_state"}
LARGE, SMALL, EMPTY = 9_001, 9_002, 9_003
NEW_YORK = timezone(timedelta(hours=-5))


def content(number: int) -> dict[str, object]:
    """Compared values of task `number`: NULLs, zones and microseconds among them."""
    return {
        "title": None if number % 5 == 0 else f"Aufgabe № {number} “ü” 'x' \\ %s",
        "state": None if number % 11 == 0 else "in progress, 'now'" if number % 4 == 0 else "completed",
        "due": None if number % 7 == 0 else datetime(2026, 3, 8, 1, 30, 0, number, tzinfo=NEW_YORK),
        "amount": None if number % 3 == 0 else Decimal(number) / 100,
        "done": None if number % 4 == 0 else number % 2 == 0,
        "meta": None if number % 6 == 0 else {"tags": ["a", number], "nested": {"none": None}},
    }


def expected_rows(kind: KeyKind) -> list[Row]:
    """All rows of both organizations, in key order."""
    rows = [
        Row(
            key=key_of(kind, number),
            organization=key_of(kind, LARGE if number <= 40 else SMALL),
            values=tuple(content(number).values()),
            version=number,
            updated_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number, microseconds=number),
        )
        for number in range(1, 44)
    ]
    return sorted(rows, key=lambda row: row.key)


def fill(store: Store, kind: KeyKind, key_type: str, names: dict[str, str]) -> None:
    columns = {name: names.get(name, name) for name in COMPARE}
    store.run(
        f"CREATE TABLE tasks (id {key_type} PRIMARY KEY, organization_id {key_type} NOT NULL, version bigint,"
        f" updated_at timestamptz, {columns['title']} text, {columns['state']} text,"
        " due timestamptz, amount numeric, done boolean, meta jsonb)"
    )
    for row in expected_rows(kind):
        values = {columns[name]: value for name, value in zip(COMPARE, row.values, strict=True)}
        values["meta"] = None if values["meta"] is None else Jsonb(values["meta"])
        as_is = str if key_type == "text" else lambda key: key
        keys = {"id": as_is(row.key), "organization_id": as_is(row.organization)}
        store.insert("tasks", {**keys, "version": row.version, "updated_at": row.updated_at, **values})


def settings(store: Store | None, kind: KeyKind) -> SourceSettings:
    return SourceSettings(
        url=store.url if store else "",
        organizations=OrganizationTable("organizations", id_type=kind),
        tasks=TaskTable(
            store.table("tasks") if store else "tasks",
            organization="organization_id",
            compare=COMPARE,
            id_type=kind,
            status="state",
            version="version",
        ),
    )


def as_task(row: Row) -> dict[str, object]:
    """A task as an endpoint gives it: its own types, and times at another offset."""
    assert row.updated_at is not None
    fields = dict(zip(COMPARE, map(to_json, row.values), strict=True))
    fields |= {other: fields.pop(name) for name, other in INDEX_NAMES.items()}
    task = {
        "id": to_json(row.key),
        "organization_id": to_json(row.organization),
        "version": row.version,
        "updated_at": row.updated_at.astimezone(NEW_YORK).isoformat(),
        **fields,
    }
    return dict(json.loads(json.dumps(task)))


def open_side(name: str, kind: KeyKind, admin_url: str, stack: ExitStack) -> Side:
    if name == "http":
        server = stack.enter_context(
            IndexServer(map(as_task, expected_rows(kind)), token="t0ken", status_field="task_state").running()
        )
        index = Index(
            IndexAdapter.HTTP, server.url, version="version", updated_at="updated_at", token="t0ken", fields=INDEX_NAMES
        )
        return stack.enter_context(open_index(estate_of(settings(None, kind), index)))
    store = stack.enter_context(temporary_store(admin_url))
    if name == "source":
        fill(store, kind, COLUMN_TYPES[kind], {})
        return stack.enter_context(Source(settings(store, kind)))
    fill(store, kind, "text" if name == "postgres with text keys" else COLUMN_TYPES[kind], INDEX_NAMES)
    index = Index(
        IndexAdapter.POSTGRES,
        store.url,
        store.table("tasks"),
        version="version",
        updated_at="updated_at",
        fields=INDEX_NAMES,
    )
    return stack.enter_context(open_index(estate_of(settings(store, kind), index)))


SIDES = [(name, kind) for name in ("source", "postgres", "http") for kind in KeyKind]
SIDES.append(("postgres with text keys", KeyKind.UUID))


@pytest.fixture(scope="module", params=SIDES, ids=lambda param: f"{param[0]}-{param[1]}")
def side_and_kind(request: pytest.FixtureRequest, servers: ServerAddresses) -> Iterator[tuple[Side, KeyKind]]:
    name, kind = request.param
    with ExitStack() as stack:
        yield open_side(name, kind, servers.admin_url, stack), kind


@pytest.fixture(scope="module")
def side(side_and_kind: tuple[Side, KeyKind]) -> Side:
    return side_and_kind[0]


@pytest.fixture(scope="module")
def kind(side_and_kind: tuple[Side, KeyKind]) -> KeyKind:
    return side_and_kind[1]


def rows_of(kind: KeyKind, organization: int) -> list[Row]:
    return [row for row in expected_rows(kind) if row.organization == key_of(kind, organization)]


def walk(side: Side, organization: Key, limit: int) -> list[Row]:
    rows: list[Row] = []
    after = None
    while True:
        page = side.page(organization, after, limit)
        assert len(page) <= limit
        rows += page
        if len(page) < limit:
            return rows
        after = page[-1].key


def assert_same(found: Row, wanted: Row) -> None:
    assert (found.key, found.organization, found.version) == (wanted.key, wanted.organization, wanted.version)
    assert found.updated_at == wanted.updated_at
    assert found.updated_at is not None
    assert found.updated_at.utcoffset() == timedelta(0)
    assert not found.deleted
    for name, one, other in zip(COMPARE, found.values, wanted.values, strict=True):
        assert agree(one, other), (name, one, other)


def test_a_page_has_every_task_of_the_organization_in_key_order(side: Side, kind: KeyKind) -> None:
    page = side.page(key_of(kind, LARGE), None, 1000)
    wanted = rows_of(kind, LARGE)
    assert [row.key for row in page] == [row.key for row in wanted]
    for found, row in zip(page, wanted, strict=True):
        assert_same(found, row)


@pytest.mark.parametrize("limit", [1, 7, 39, 40, 41])
def test_paging_gives_each_task_once_whatever_the_page_size(side: Side, kind: KeyKind, limit: int) -> None:
    found = walk(side, key_of(kind, LARGE), limit)
    assert [row.key for row in found] == [row.key for row in rows_of(kind, LARGE)]


def test_after_leaves_out_the_key_itself(side: Side, kind: KeyKind) -> None:
    wanted = rows_of(kind, LARGE)
    page = side.page(key_of(kind, LARGE), wanted[4].key, 3)
    assert [row.key for row in page] == [row.key for row in wanted[5:8]]


def test_after_the_last_key_is_nothing(side: Side, kind: KeyKind) -> None:
    assert not side.page(key_of(kind, LARGE), rows_of(kind, LARGE)[-1].key, 10)


def test_an_organization_without_tasks_is_empty(side: Side, kind: KeyKind) -> None:
    assert not side.page(key_of(kind, EMPTY), None, 10)


def test_by_keys_finds_tasks_of_any_organization_and_leaves_out_unknown_ones(side: Side, kind: KeyKind) -> None:
    wanted = [*rows_of(kind, LARGE)[:12], *rows_of(kind, SMALL)]
    found = side.by_keys([*(row.key for row in wanted), key_of(kind, 777)])
    assert found.keys() == {row.key for row in wanted}
    for row in wanted:
        assert_same(found[row.key], row)


def test_by_no_keys_is_nothing(side: Side) -> None:
    assert side.by_keys([]) == {}


def test_many_keys_are_asked_in_bounded_pieces(side: Side, kind: KeyKind) -> None:
    keys = [key_of(kind, number) for number in range(1, 6_001)]
    assert len(side.by_keys(keys)) == 43


@pytest.mark.parametrize(("status", "limit"), [("completed", 5), ("completed", 1_000), ("in progress, 'now'", 3)])
def test_an_index_is_searched_by_status_in_key_order(side: Side, kind: KeyKind, status: str, limit: int) -> None:
    if isinstance(side, Source):
        assert not hasattr(side, "search")
        return
    search: Callable[[str, int], Sequence[Row]] = side.search  # type: ignore[attr-defined]
    wanted = [row for row in expected_rows(kind) if row.values[COMPARE.index("state")] == status][:limit]
    found = search(status, limit)
    assert [row.key for row in found] == [row.key for row in wanted]
    for one, row in zip(found, wanted, strict=True):
        assert_same(one, row)
    assert not search("nobody has this", limit)


def test_it_says_that_it_answers(side: Side) -> None:
    ping: Callable[[], str] = side.ping  # type: ignore[attr-defined]  # both kinds of Side have it
    assert "answers" in ping()
