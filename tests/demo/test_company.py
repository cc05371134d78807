"""The demonstration company: the same seed makes the same company, and the gap is exactly as large as it says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.demo.addresses import ServerAddresses
from opsconsole.demo.company import Size, create_schema, drop_schema, organization_sizes, populate
from opsconsole.demo.drift import count_drift
from opsconsole.demo.gap import make_gap
from opsconsole.demo.names import organization_names

SMALL = Size(organizations=12, tasks=1_500, largest=400)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FINGERPRINT = """
SELECT (SELECT md5(string_agg(o::text, '' ORDER BY id)) FROM organizations o),
       (SELECT md5(string_agg(t::text, '' ORDER BY id)) FROM tasks t)
"""


@pytest.fixture
def sides(servers: ServerAddresses) -> Iterator[ServerAddresses]:
    drop_schema(servers.source_owner_url, servers.index_owner_url)
    yield servers
    drop_schema(servers.source_owner_url, servers.index_owner_url)


def found(sides: ServerAddresses, seed: int) -> None:
    drop_schema(sides.source_owner_url, sides.index_owner_url)
    create_schema(sides.source_owner_url, sides.index_owner_url)
    populate(sides.source_owner_url, sides.index_owner_url, seed=seed, size=SMALL, now=NOW)


def ask(url: str, statement: str, *values: object) -> tuple[object, ...] | None:
    with psycopg.connect(url, options="-c TimeZone=UTC") as connection:
        return connection.execute(statement.encode(), values or None).fetchone()


def drift(sides: ServerAddresses) -> int:
    return count_drift(sides.source_url, sides.index_url)


def test_the_same_seed_makes_the_same_company_and_gap(sides: ServerAddresses) -> None:
    seen = []
    for seed in (7, 7, 8):
        found(sides, seed)
        make_gap(sides.source_owner_url, seed=seed, size=60, now=NOW)
        seen.append(ask(sides.source_url, FINGERPRINT))
    assert seen[0] == seen[1]
    assert seen[0] != seen[2]


def test_all_tasks_are_indexed_at_first(sides: ServerAddresses) -> None:
    found(sides, 1)
    assert drift(sides) == 0
    assert ask(sides.source_url, "SELECT count(*), count(DISTINCT organization_id) FROM tasks") == (1_500, 12)
    assert ask(sides.source_url, "SELECT count(*) FROM tasks GROUP BY organization_id ORDER BY 1 DESC") == (400,)


@pytest.mark.parametrize(("size", "hard"), [(0, 0.0), (1, 0.0), (100, 0.0), (100, 0.2), (100, 1.0)])
def test_the_gap_is_exactly_what_it_says(sides: ServerAddresses, size: int, hard: float) -> None:
    found(sides, 3)
    gap = make_gap(sides.source_owner_url, seed=3, size=size, organizations=5, hard_delete_share=hard)
    assert gap.lost == size == drift(sides)


def test_a_gap_larger_than_the_company_says_how_large_it_became(sides: ServerAddresses) -> None:
    found(sides, 3)
    gap = make_gap(sides.source_owner_url, seed=3, size=5_000, organizations=3)
    assert gap.lost == drift(sides)
    assert 0 < gap.lost < 5_000


def test_the_window_holds_everything_that_was_lost(sides: ServerAddresses) -> None:
    found(sides, 5)
    now = datetime.now(UTC)
    gap = make_gap(sides.source_owner_url, seed=5, size=200, organizations=6, now=now)
    assert gap.window_to - gap.window_from == timedelta(minutes=40)
    assert gap.window_to == now - timedelta(minutes=10)
    changed = "SELECT count(*) FROM tasks WHERE updated_at >= %s AND updated_at < %s"
    assert ask(sides.source_url, changed, gap.window_from, gap.window_to) == (200,)
    # Most are completions; every organization named lost something; the largest is among them.
    inside = f"{changed} AND status = 'completed' AND version > 1 AND deleted_at IS NULL"
    assert ask(sides.source_url, inside, gap.window_from, gap.window_to) == (160,)
    hit = "SELECT count(DISTINCT organization_id) FROM tasks WHERE updated_at >= %s AND organization_id = ANY(%s)"
    assert ask(sides.source_url, hit, gap.window_from, list(gap.organizations)) == (6,)
    largest = ask(sides.source_url, "SELECT organization_id FROM tasks GROUP BY 1 ORDER BY count(*) DESC LIMIT 1")
    assert largest is not None
    assert largest[0] in gap.organizations


@pytest.mark.parametrize(
    ("side", "statement"),
    [
        ("source", "UPDATE tasks SET title = title || '!' WHERE id = (SELECT min(id::text)::uuid FROM tasks)"),
        ("source", "UPDATE tasks SET due_at = now() WHERE id = (SELECT max(id::text)::uuid FROM tasks)"),
        ("index", "DELETE FROM tasks WHERE id = (SELECT max(id::text)::uuid FROM tasks)"),
        ("index", "UPDATE tasks SET organization_id = id WHERE id = (SELECT min(id::text)::uuid FROM tasks)"),
        (
            "index",
            "INSERT INTO tasks SELECT gen_random_uuid(), id, 'waiting', 'x', NULL, NULL, 1, now() FROM tasks LIMIT 1",
        ),
    ],
)
def test_the_count_sees_each_kind_of_difference(sides: ServerAddresses, side: str, statement: str) -> None:
    found(sides, 9)
    with psycopg.connect(sides.source_owner_url) as source:
        source.execute("DELETE FROM tasks WHERE deleted_at IS NOT NULL")  # so that the first and last row are tasks
    with psycopg.connect(sides.source_owner_url if side == "source" else sides.index_owner_url) as connection:
        connection.execute(statement.encode())
    assert drift(sides) == 1


@given(st.integers(1, 400), st.integers(0, 5_000), st.integers(1, 5_000))
def test_sizes_add_up(organizations: int, tasks: int, largest: int) -> None:
    sizes = organization_sizes(Size(organizations, tasks, largest))
    assert len(sizes) == organizations
    assert sum(sizes) == tasks
    assert min(sizes) >= 0


@given(st.integers(), st.integers(0, 5_000))
def test_organizations_have_names_of_their_own(seed: int, count: int) -> None:
    names = organization_names(Random(seed), count)
    assert len(set(names)) == len(names) == count
