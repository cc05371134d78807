"""Packed chunks on real servers: the traps that hashing on the server sets, and the same drift found by every way."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from opsconsole.demo.addresses import ServerAddresses
from opsconsole.keys import KeyKind
from sync.engine import packed_walk
from sync.engine.compare import Published
from sync.engine.rows import DriftKind, Finding
from sync.packing import PackedPair
from tests.sync.packed_stores import (
    COLUMNS,
    HERE,
    NOW,
    PLAIN,
    THERE,
    YOUNG,
    Stores,
    Task,
    open_stores,
    task_key,
)

WAYS = ("packed", "merged", "http")
NOTHING: Mapping[str, str | None] = dict.fromkeys(COLUMNS, None)
EVERY_PLANE = "".join(chr(plane * 0x10000 + 0xA1) for plane in range(17))


@pytest.fixture(scope="module", autouse=True)
def small_pieces() -> Iterator[None]:
    """With a dozen rows the packed walk would never need a second piece or a second mode."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed_walk, "FEWEST_ROWS", 2)
        patch.setattr(packed_walk, "CALM_CHUNKS", 1)
        yield


@pytest.fixture(scope="module", params=[KeyKind.UUID, KeyKind.INTEGER])
def stores(request: pytest.FixtureRequest, servers: ServerAddresses) -> Iterator[Stores]:
    with open_stores(servers.admin_url, request.param) as opened:
        yield opened


@pytest.fixture(scope="module")
def uuid_stores(servers: ServerAddresses) -> Iterator[Stores]:
    with open_stores(servers.admin_url, KeyKind.UUID) as opened:
        yield opened


def tasks(stores: Stores, count: int, values: Mapping[str, str | None] = PLAIN) -> list[Task]:
    return [Task(task_key(stores.kind, number), values) for number in range(count)]


def suspects(stores: Stores, limit: int = 4) -> list[object]:
    with ExitStack() as stack:
        return [key for look in stores.looks("packed", limit, stack) for key in look.suspects]


def pair_of(stores: Stores) -> PackedPair:
    pair = stores.pair()
    assert isinstance(pair, PackedPair), pair
    return pair


class TestNull:
    """The servers' hash functions are strict: a NULL makes the row's hash NULL, and such a row vanishes from a sum."""

    @pytest.mark.parametrize("column", COLUMNS)
    def test_in_one_column_of_one_side_is_a_difference(self, stores: Stores, column: str) -> None:
        rows = tasks(stores, 9)
        changed = Task(rows[4].key, PLAIN | {column: None})
        for source, index in ((rows, [*rows[:4], changed, *rows[5:]]), ([*rows[:4], changed, *rows[5:]], rows)):
            stores.fill(source, index)
            assert stores.check("packed") == ({changed.key: (DriftKind.STALE, (column,))}, 0, 9)

    @pytest.mark.parametrize("column", COLUMNS)
    def test_in_one_column_of_both_sides_is_none(self, stores: Stores, column: str) -> None:
        rows = tasks(stores, 9, PLAIN | {column: None})
        stores.fill(rows, rows)
        assert suspects(stores) == []
        assert stores.check("packed") == ({}, 0, 9)

    def test_in_every_column_keeps_the_row(self, stores: Stores) -> None:
        rows = tasks(stores, 9, NOTHING)
        stores.fill(rows, rows)
        for side in pair_of(stores).sides():
            assert side.digest(HERE, None, None, None).count == 9
            assert pair_of(stores).codec.count(side.pack(HERE, None, None, 100)) == 9

    def test_is_no_value_that_looks_like_it(self, stores: Stores) -> None:
        looks_like = {"title": "", "count": "0", "amount": "0", "score": "0", "done": "false", "meta": '"null"'}
        one = task_key(stores.kind, 1)
        stores.fill([Task(one, NOTHING)], [Task(one, {**NOTHING, **looks_like})])
        found, _, _ = stores.check("packed")
        assert set(found[one][1]) == set(looks_like)


class TestDigest:
    def test_is_a_sum(self, stores: Stores) -> None:
        """What an exclusive or would make of two halves, or of a row that is there twice, is no sum."""
        rows = tasks(stores, 10)
        stores.fill(rows, rows)
        side, _ = pair_of(stores).sides()
        whole = side.digest(HERE, None, None, None)
        lower = side.digest(HERE, None, rows[4].key, None)
        upper = side.digest(HERE, rows[4].key, None, None)
        assert (lower.count, upper.count) == (5, 5)
        assert lower.total + upper.total == whole.total

    def test_values_that_changed_places_are_a_difference(self, stores: Stores) -> None:
        """Two tasks with each other's values: the key is part of what is summed."""
        first, second = (task_key(stores.kind, number) for number in (1, 2))
        other = PLAIN | {"title": "Another"}
        stores.fill([Task(first, PLAIN), Task(second, other)], [Task(first, other), Task(second, PLAIN)])
        assert set(stores.check("packed")[0]) == {first, second}

    def test_says_where_it_ends(self, stores: Stores) -> None:
        rows = tasks(stores, 10)
        stores.fill(rows, rows)
        side, _ = pair_of(stores).sides()
        digest = side.digest(HERE, None, None, 4)
        assert (digest.count, digest.last) == (4, rows[3].key)


class TestSeed:
    def test_is_new_for_every_job(self, stores: Stores) -> None:
        """Two rows that hash alike by accident do so once."""
        rows = tasks(stores, 3)
        stores.fill(rows, rows)
        pair = pair_of(stores)
        totals = [[side.digest(HERE, None, None, None).total for side in pair.sides()] for _ in range(4)]
        assert all(mine == theirs for mine, theirs in totals)
        assert len({mine for mine, _ in totals}) == 4
        assert len({pair.sides()[0].pack(HERE, None, None, 10) for _ in range(4)}) == 4


def test_no_plan_is_kept(stores: Stores) -> None:
    """A plan prepared for one organization is wrong for one of another size; psycopg would prepare after five runs."""
    rows = tasks(stores, 40)
    stores.fill(rows, rows)
    pair = pair_of(stores)
    mine, theirs = pair.sides()
    for row in rows:
        for side in (mine, theirs):
            side.pack(HERE, row.key, None, 5)
            side.digest(HERE, row.key, None, 5)
    for tasks_of_side in (pair.source, pair.index):
        kept = tasks_of_side.database.row(sql.SQL("SELECT count(*) FROM pg_prepared_statements"))
        assert kept == (0,)


def rows_read_in_vain(plan: Mapping[str, Any]) -> int:
    """In all nodes of an analyzed plan: rows that were read and were not asked for."""
    below = sum(map(rows_read_in_vain, plan.get("Plans", ())))
    return below + sum(int(plan.get(f"Rows Removed by {way}", 0)) for way in ("Filter", "Index Recheck"))


def test_a_narrow_range_reads_no_other_organization(servers: ServerAddresses, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two UUIDs of one bucket of the statistics the planner, where it knows both, expects one row, by whatever
    index. Here there is one bucket."""
    plans: list[Mapping[str, Any]] = []
    with open_stores(servers.admin_url, KeyKind.UUID) as opened:
        store = opened.stores[0]
        filled = "INSERT INTO tasks SELECT overlay(md5(n::text) placing '00' from 1)::uuid, 1 + (n % 8 > 0)::int, now()"
        store.run(f"{filled} FROM generate_series(1, 40000) n")
        store.run("CREATE INDEX tasks_by_key ON tasks (organization_id, id)")
        store.run("ALTER TABLE tasks ALTER id SET STATISTICS 1")
        store.run("VACUUM ANALYZE tasks")
        pair = pair_of(opened)
        side, _ = pair.sides()
        ask = opened.source.database.rows

        def explained(query: sql.Composed, values: dict[str, object], *, binary: bool) -> Any:
            (((plan,),),) = ask(sql.SQL("EXPLAIN (ANALYZE, TIMING off, FORMAT JSON) {}").format(query), values)
            plans.append(plan["Plan"])
            return ask(query, values, binary=binary)

        monkeypatch.setattr(opened.source.database, "rows", explained)
        first, last = UUID(int=0x0010 << 112), UUID(int=0x0030 << 112)
        assert pair.codec.count(side.pack(HERE, first, last, 10_000)) > 500
        assert side.digest(HERE, first, last, None).count > 500
    assert [rows_read_in_vain(plan) for plan in plans] == [0, 0]


OTHER_HASH = """CREATE FUNCTION {shadow}.hashtextextended(text, bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
    AS 'SELECT pg_catalog.hashtextextended($1, $2 + 1)'"""
NO_HASH = """CREATE FUNCTION {shadow}.hashtextextended(text, bigint) RETURNS bigint LANGUAGE plpgsql
    AS 'BEGIN RAISE undefined_function; END'"""
OTHER_MD5 = """CREATE FUNCTION {shadow}.md5(text) RETURNS text LANGUAGE sql IMMUTABLE
    AS 'SELECT pg_catalog.md5($1 || ''x'')'"""


class TestAnotherServersHash:
    """An index whose server hashes otherwise, as another major version or build may: its functions are shadowed."""

    @pytest.fixture
    def shadowed(self, request: pytest.FixtureRequest, servers: ServerAddresses) -> Iterator[Stores]:
        shadow = "shadow"
        with psycopg.connect(servers.admin_url, autocommit=True) as admin:
            admin.execute("CREATE SCHEMA shadow")
            for function in request.param:
                admin.execute(function.format(shadow=shadow))
            try:
                options = "-c search_path=shadow,pg_catalog"
                with open_stores(servers.admin_url, KeyKind.UUID, index_options=options) as opened:
                    yield opened
            finally:
                admin.execute("DROP SCHEMA shadow CASCADE")

    @pytest.mark.parametrize("shadowed", [[OTHER_HASH], [NO_HASH]], ids=["other", "none"], indirect=True)
    def test_falls_back_to_a_portable_one_and_says_so(self, shadowed: Stores) -> None:
        rows = tasks(shadowed, 12)
        rows[5] = Task(rows[5].key, NOTHING)
        changed = [Task(rows[7].key, PLAIN | {"title": EVERY_PLANE}), Task(rows[8].key, PLAIN | {"meta": None})]
        shadowed.fill(rows, [*rows[:7], *changed, *rows[9:]])
        assert "portable" in pair_of(shadowed).note
        assert suspects(shadowed) == [rows[7].key, rows[8].key]
        assert set(shadowed.check("packed")[0]) == {rows[7].key, rows[8].key}

    @pytest.mark.parametrize("shadowed", [[OTHER_HASH, OTHER_MD5]], ids=["nothing alike"], indirect=True)
    def test_is_streamed_where_nothing_is_alike(self, shadowed: Stores) -> None:
        note = shadowed.pair()
        assert isinstance(note, str)
        assert "streamed" in note


# Column, the source's value, the index's, whether they mean the same.
MEANINGS = [
    ("amount", "1.500000", "1.5", True),
    ("amount", "0.000000", "-0", True),
    ("amount", "1.500001", "1.5", False),
    ("amount", "12345678901234.000001", "12345678901234.000001000", True),
    ("amount", "NaN", "NaN", True),
    ("due", "2026-03-08 01:30:00.000001-05", "2026-03-08 06:30:00.000001+00", True),
    ("due", "2026-03-08 01:30:00.000001-05", "2026-03-08 01:30:00.000001+00", False),
    ("due", "infinity", "infinity", True),
    ("due", "infinity", "-infinity", False),
    ("due", "4713-01-01 00:00:00+00 BC", "4713-01-01 00:00:00+00 BC", True),
    ("local", "-infinity", "-infinity", True),
    ("local", "2026-03-08 01:30:00.000001", "2026-03-08 01:30:00.000002", False),
    ("day", "infinity", "infinity", True),
    ("day", "infinity", "2026-01-01", False),
    ("day", "2026-03-08", "2026-03-09", False),
    ("meta", '{"b": 1, "a": 2.50}', '{"a": 2.5,   "b": 1}', True),
    ("meta", '{"a": [1, 2]}', '{"a": [2, 1]}', False),
    ("meta", "null", "null", True),
    ("meta", "{}", "[]", False),
    ("meta", "1", "[1]", False),
    ("meta", "[1]", "[[[1]]]", False),
    ("meta", "[[], [], 1]", "[1]", False),
    ("meta", '["10", 2.0]', '["1", 2]', False),
    ("state", "in progress", "in progress", True),
    ("state", "in progress", "completed", False),
    ("count", "-2147483648", "-2147483648", True),
    ("count", "1", "4294967297", False),
    ("score", "0.1", "0.1", True),
    ("score", "NaN", "NaN", True),
    ("score", "0", "-0", True),
    ("score", "0.1", "0.10000000000000002", False),
    ("done", "true", "false", False),
    ("person", PLAIN["person"], PLAIN["person"].upper(), True),
    ("person", PLAIN["person"], "00000000-0000-0000-0000-000000000000", False),
    ("title", EVERY_PLANE, EVERY_PLANE, True),
    ("title", EVERY_PLANE, EVERY_PLANE[:-1], False),
    ("title", "e\u0301", "\u00e9", False),
    ("title", "trailing", "trailing ", False),
    ("title", "", "", True),
]


@pytest.mark.parametrize(("column", "mine", "theirs", "same"), MEANINGS)
def test_types_and_their_values(uuid_stores: Stores, column: str, mine: str, theirs: str, same: bool) -> None:
    """Columns of one meaning hash alike although their types differ, and nothing else does."""
    key = UUID(int=1)
    uuid_stores.fill([Task(key, PLAIN | {column: mine})], [Task(key, PLAIN | {column: theirs})])
    expected = {} if same else {key: (DriftKind.STALE, (column,))}
    assert suspects(uuid_stores) == list(expected)
    for way in WAYS:
        assert uuid_stores.check(way)[0] == expected, way


class TestRows:
    @pytest.mark.parametrize("way", WAYS)
    def test_marked_deleted(self, stores: Stores, way: str) -> None:
        """A deleted task must not be indexed. A condition that gives NULL marks nothing."""
        gone, left, unknown = (task_key(stores.kind, number) for number in (1, 2, 3))
        source = [Task(gone, PLAIN, deleted=True), Task(left, PLAIN, deleted=True), Task(unknown, PLAIN, deleted=None)]
        stores.fill(source, [Task(left, PLAIN), Task(unknown, PLAIN)])
        assert stores.check(way) == ({left: (DriftKind.ORPHAN, ())}, 0, 1)

    @pytest.mark.parametrize("way", WAYS)
    def test_too_young_to_judge(self, stores: Stores, way: str) -> None:
        young, old = (task_key(stores.kind, number) for number in (1, 2))
        stores.fill([Task(young, PLAIN, updated_at=YOUNG), Task(old, PLAIN)], [])
        assert stores.check(way) == ({old: (DriftKind.MISSING, ())}, 1, 2)

    @pytest.mark.parametrize("way", WAYS)
    def test_of_another_organization(self, stores: Stores, way: str) -> None:
        moved, other = (task_key(stores.kind, number) for number in (1, 2))
        stores.fill(
            [Task(moved, PLAIN), Task(other, PLAIN, organization=THERE)],
            [Task(moved, PLAIN, organization=THERE), Task(other, NOTHING, organization=THERE)],
        )
        assert stores.check(way) == ({moved: (DriftKind.STALE, ("organization",))}, 0, 1)

    @pytest.mark.parametrize("limit", [1, 3, 100])
    def test_far_more_in_the_index_than_in_the_source(self, stores: Stores, limit: int) -> None:
        """The index is read in pieces; no look takes in more than it may."""
        rows = tasks(stores, 300)
        kept = [rows[number] for number in (0, 150, 299)]
        stores.fill(kept, rows)
        found, _, scanned = stores.check("packed", limit)
        assert found == {row.key: (DriftKind.ORPHAN, ()) for row in rows if row not in kept}
        assert scanned == 3
        with ExitStack() as stack:
            sizes = [len(look.suspects) for look in stores.looks("packed", limit, stack)]
        assert max(sizes) <= max(limit, 2) * packed_walk.INDEX_SURPLUS

    def test_with_negative_integer_keys(self, servers: ServerAddresses) -> None:
        """Two's complement puts negative keys behind positive ones where bytes are compared."""
        numbers = [-(2**63), -(2**32), -257, -256, -255, -1, 0, 1, 255, 256, 2**32, 2**63 - 1]
        with open_stores(servers.admin_url, KeyKind.INTEGER) as opened:
            rows = [Task(number, PLAIN) for number in numbers]
            for lost in range(len(numbers)):
                for limit in (1, 5, 100):
                    opened.fill(rows, [*rows[:lost], *rows[lost + 1 :]])
                    expected = {numbers[lost]: (DriftKind.MISSING, ())}
                    assert opened.check("packed", limit) == (expected, 0, len(numbers))


text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
VALUES: dict[str, st.SearchStrategy[str | None]] = {
    "title": st.none() | text,
    "state": st.sampled_from((None, "waiting", "in progress")),
    "count": st.none() | st.integers(-(2**31), 2**31 - 1).map(str),
    "amount": st.none() | st.decimals(-999, 999, places=4).map(str),
    "score": st.none() | st.floats(width=64, allow_infinity=False).map(repr),
    "done": st.sampled_from((None, "true", "false")),
    "person": st.none() | st.uuids().map(str),
    "due": st.none() | st.datetimes(timezones=st.timezones()).map(str) | st.sampled_from(("infinity", "-infinity")),
    "local": st.none() | st.datetimes().map(str) | st.just("infinity"),
    "day": st.none() | st.dates().map(str) | st.just("-infinity"),
    "meta": st.sampled_from(
        (None, "{}", '{"a": null}', '{"a": [1.50, "\u00fc"]}', "[]", '"x"', '["x"]', "0", "[[[0]]]")
    ),
}


@st.composite
def both_sides(draw: st.DrawFn) -> tuple[list[Task], list[Task]]:
    """Tasks of integer keys as both sides have them; the index may lag behind in any way."""
    source: list[Task] = []
    index: list[Task] = []
    for key in sorted(draw(st.sets(st.integers(-50, 50), max_size=12))):
        values = draw(st.fixed_dictionaries(VALUES))
        fate = draw(st.sampled_from(("same", "same", "changed", "missing", "gone", "deleted", "moved")))
        if fate != "gone":
            source.append(Task(key, values, deleted=fate == "deleted" or draw(st.sampled_from((False, None)))))
        if fate == "changed":
            column = draw(st.sampled_from(list(VALUES)))
            values = values | {column: draw(VALUES[column])}
        if fate != "missing":
            index.append(Task(key, values, organization=THERE if fate == "moved" else HERE))
    return source, index


@pytest.fixture(scope="module")
def integer_stores(servers: ServerAddresses) -> Iterator[Stores]:
    with open_stores(servers.admin_url, KeyKind.INTEGER) as opened:
        yield opened


def written(finding: Finding) -> tuple[object, ...]:
    """All that is written down or sent of a finding, its JSON parsed: of an equal object the order may differ."""
    sides = [
        state and (json.loads(f"{{{state.fields}}}"), json.loads(state.organization), *state[2:])
        for state in (finding.source, finding.index)
    ]
    return finding.task_id, finding.kind, finding.fields, *sides


@given(sides=both_sides())
@settings(max_examples=40, deadline=None)
def test_by_text_the_second_look_says_and_writes_what_it_does_by_value(
    integer_stores: Stores, sides: tuple[list[Task], list[Task]]
) -> None:
    integer_stores.fill(*sides)
    keys = sorted({task.key for task in (*sides[0], *sides[1])})
    by_text, by_value = (integer_stores.second_look(way)(keys, lambda: NOW) for way in ("packed", "merged"))
    assert list(map(written, by_text.findings)) == list(map(written, by_value.findings))
    assert by_text.unsettled == by_value.unsettled
    assert integer_stores.second_look("packed", home=None)(keys, lambda: NOW) == by_text
    published = [Published(number, str(key), 1) for number, key in enumerate(keys)]
    arrived = [integer_stores.second_look(way).caught_up(published) for way in ("packed", "merged")]
    differ = {finding.task_id for finding in by_text.findings}
    assert arrived[0] == arrived[1] == [number for number, key in enumerate(keys) if str(key) not in differ]


@pytest.mark.parametrize(("column", "mine", "theirs", "same"), MEANINGS)
def test_every_kind_of_value_is_written_by_text_as_by_value(
    uuid_stores: Stores, column: str, mine: str, theirs: str, same: bool
) -> None:
    both, mine_only, theirs_only = keys = [UUID(int=number) for number in (1, 2, 3)]
    mine_values, theirs_values = PLAIN | {column: mine}, PLAIN | {column: theirs}
    source = [Task(both, mine_values), Task(mine_only, mine_values)]
    uuid_stores.fill(source, [Task(both, theirs_values), Task(theirs_only, theirs_values)])
    by_text, by_value = (uuid_stores.second_look(way)(keys, lambda: NOW) for way in ("packed", "merged"))
    assert [finding.task_id for finding in by_text.findings] == list(map(str, keys[1:] if same else keys))
    assert list(map(written, by_text.findings)) == list(map(written, by_value.findings))


@pytest.mark.parametrize("moment", ["infinity", "-infinity", "0044-03-15 12:00:00+00 BC", "12026-01-01 00:00:00+00"])
def test_by_text_a_time_of_update_beyond_what_python_holds_is_judged_alike(uuid_stores: Stores, moment: str) -> None:
    uuid_stores.fill([Task(UUID(int=1), PLAIN)], [])
    uuid_stores.stores[0].run(f"UPDATE tasks SET updated_at = '{moment}'")  # noqa: S608  (our own values)
    by_text, by_value = (uuid_stores.second_look(way)([UUID(int=1)], lambda: NOW) for way in ("packed", "merged"))
    assert list(map(written, by_text.findings)) == list(map(written, by_value.findings))
    assert by_text.unsettled == by_value.unsettled == (0 if "-inf" in moment or "BC" in moment else 1)


@given(sides=both_sides(), limit=st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_every_way_finds_the_same_drift(
    integer_stores: Stores, sides: tuple[list[Task], list[Task]], limit: int
) -> None:
    integer_stores.fill(*sides)
    results = {way: integer_stores.check(way, limit) for way in WAYS}
    assert results["packed"] == results["merged"] == results["http"]
