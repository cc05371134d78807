"""`[[tracked_tasks]]`: sources of any schema, the ways to disable, and every mistake in them at once."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from opsconsole.estate.model import TrackedSource
from tests.estate.test_reader import ENVIRON, EXAMPLE, mistakes, read, values

__all__ = ["values"]  # the fixture

PLANES_URL = "postgresql://reader:hunter2@planes.example.com/planes"
GIVEN = {
    "PLANES_DATABASE_URL": PLANES_URL,
    "PLANES_WRITER_URL": "postgresql://writer:hunter3@planes.example.com/planes",
    "PLANES_AUTHORIZATION": "Bearer x",
}
SMALL: dict[str, Any] = {"name": "captures", "table": "captures", "last_healthy_at": "primary_at"}
SQL = {"url_env": "PLANES_WRITER_URL", "disable": "UPDATE a SET b WHERE id = %(id)s", "enable": "SELECT %(id)s"}


def read_one(values: dict[str, Any], **keys: object) -> TrackedSource:
    (source,) = read(values | {"tracked_tasks": [SMALL | keys]}, **GIVEN).tracked_tasks
    return source


def commented_example() -> dict[str, Any]:
    """The source of the example file, which is commented out there, with one of its three ways."""
    _, _, part = EXAMPLE.read_text(encoding="utf-8").partition("# --- Tracked tasks")
    part, _, _ = part.partition("# [tracked_tasks.disable.http]")
    return tomllib.loads("\n".join(re.sub(r"^# ?", "", line) for line in part.splitlines()[1:]))


def test_none_is_needed(values: dict[str, Any]) -> None:
    assert read(values).tracked_tasks == ()


def test_the_example_reads(values: dict[str, Any]) -> None:
    (source,) = read(values | commented_example(), **GIVEN).tracked_tasks
    assert (source.name, source.table, source.scope, source.look_every) == (
        "captures",
        "live.captures",
        "data_plane",
        300,
    )
    assert source.url == PLANES_URL
    assert source.disable is not None
    assert source.disable.sql is not None
    assert "%(reference)s" in source.disable.sql.enable
    assert "hunter" not in repr(source)


def test_a_table_and_its_health_are_enough(values: dict[str, Any]) -> None:
    source = read_one(values)
    assert source.url == ENVIRON["SOURCE_DATABASE_URL"]
    assert (source.label, source.id, source.enabled, source.disable) == ("Captures", "id", "", None)
    assert (source.most_disabled, source.most_disabled_percent) == (5, 2)


@pytest.mark.parametrize(
    ("way", "name"),
    [
        ({"sql": SQL}, "sql"),
        (
            {"http": {"disable_url": "https://a.example.com/{id}/off", "enable_url": "https://a.example.com/{id}"}},
            "http",
        ),
        ({"kafka": {"topic": "orders"}}, "kafka"),
    ],
)
def test_three_ways_to_disable(values: dict[str, Any], way: dict[str, Any], name: str) -> None:
    found = read_one(values, disable=way).disable
    assert found is not None
    assert [one for one in ("sql", "http", "kafka") if getattr(found, one) is not None] == [name]


def test_reported_tasks_need_no_table(values: dict[str, Any]) -> None:
    source = read(values | {"tracked_tasks": [{"name": "edge", "reported": True}]}).tracked_tasks[0]
    assert (source.reported, source.table, source.url) == (True, None, "")


def test_all_mistakes_of_all_sources_at_once(values: dict[str, Any]) -> None:
    values["tracked_tasks"] = [
        {"name": "Cap tures", "table": "a", "query": "SELECT 1", "healthy": "x; y", "link": "javascript:{id}"},
        {"name": "b", "disable": {"sql": SQL, "kafka": {"topic": "a b"}}},
        {"name": "b", "table": "b", "healthy": "ok", "query": "SELECT 1; SELECT 2", "look_every": "1s"},
        {"name": "c", "reported": True, "table": "c", "owner": "mail"},
        {"name": "d", "table": "d", "healthy": "ok", "disable": {"sql": SQL | {"disable": "UPDATE x SET y = '5%'"}}},
        {"name": "e", "table": "e", "healthy": "ok", "disable": {"http": {"disable_url": "ftp://x", "enable_ur": "x"}}},
    ]
    expected = [
        ("tracked_tasks[1].name", "allowed are lower-case letters"),
        ("tracked_tasks[1].table", "together with `query`"),
        ("tracked_tasks[1].healthy", "without a semicolon"),
        ("tracked_tasks[1].link", "http or https"),
        ("tracked_tasks[2].table", "missing, and so is `query`"),
        ("tracked_tasks[2].last_healthy_at", "nobody knows what fails"),
        ("tracked_tasks[2].disable", "has 2 ways"),
        ("tracked_tasks[2].disable.kafka.topic", "'a b'"),
        ("tracked_tasks[2].name", "more than once"),
        ("tracked_tasks[3].query", "semicolon"),
        ("tracked_tasks[3].table", "together with `query`"),
        ("tracked_tasks[3].look_every", "allowed is 10"),
        ("tracked_tasks[3].name", "more than once"),
        ("tracked_tasks[4].table", "does nothing without"),
        ("tracked_tasks[4].owner", "does nothing without"),
        ("tracked_tasks[5].disable.sql.disable", "one statement with %(id)s in it"),
        ("tracked_tasks[6].disable.http.disable_url", "with {id} in it"),
        ("tracked_tasks[6].disable.http.enable_url", "is missing"),
        ("tracked_tasks[6].disable.http.enable_ur", 'did you mean "enable_url"'),
    ]
    found = mistakes(values, **GIVEN)
    for path, part in expected:
        assert any(mistake.startswith(f"{path} ") and part in mistake for mistake in found), (path, found)
    assert len(found) == len(expected), found
