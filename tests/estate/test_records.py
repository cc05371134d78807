"""`[[records]]`: sources of any schema, their status guides, and every mistake in them at once."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from opsconsole.estate.model import RecordSource
from opsconsole.keys import KeyKind
from opsconsole.tones import Tone
from tests.estate.test_reader import ENVIRON, EXAMPLE, mistakes, read, values

__all__ = ["values"]  # the fixture

UPLOADS: dict[str, Any] = {"name": "uploads", "table": "files"}
FILES_URL = "postgresql://reader:hunter2@files.example.com/files"


def read_one(values: dict[str, Any], **keys: object) -> RecordSource:
    (source,) = read(values | {"records": [UPLOADS | keys]}, FILES_DATABASE_URL=FILES_URL).records
    return source


def commented_example() -> dict[str, Any]:
    """The record source of the example file, which is commented out there."""
    _, _, part = EXAMPLE.read_text(encoding="utf-8").partition("# --- Record statuses")
    part, _, _ = part.partition("# --- Monitors")
    lines = part.splitlines()[1:]
    return tomllib.loads("\n".join(re.sub(r"^# ?", "", line) for line in lines))


def test_none_is_needed(values: dict[str, Any]) -> None:
    assert read(values).records == ()


def test_the_example_reads(values: dict[str, Any]) -> None:
    (source,) = read(values | commented_example(), FILES_DATABASE_URL=FILES_URL).records
    assert (source.name, source.table, source.id_type) == ("uploads", ("Media", "Files"), KeyKind.INTEGER)
    assert source.url == FILES_URL
    assert (source.older_than, source.younger_than) == (900, 18_000)
    (status,) = source.statuses
    assert (status.label, status.tone, status.limit) == ("processing", Tone.WORKING, 1800)


def test_two_keys_are_enough(values: dict[str, Any]) -> None:
    source = read_one(values)
    assert source.url == ENVIRON["SOURCE_DATABASE_URL"]
    assert (source.label, source.status, source.updated_at, source.hidden) == ("Uploads", "status", "", ())
    assert (source.older_than, source.younger_than, source.snapshot_every) == (900, 18_000, 300)
    assert "s3cret" not in repr(source)


def test_labels_of_statuses_come_without_the_prefix(values: dict[str, Any]) -> None:
    statuses = [
        {"status": "status.generic.needs_processing"},
        {"status": "status.generic."},
        {"status": "x", "label": "Y"},
    ]
    source = read_one(values, status_prefix="status.generic.", statuses=statuses)
    assert [one.label for one in source.statuses] == ["needs processing", "status.generic.", "Y"]
    assert [one.limit for one in source.statuses] == [None, None, None]


def test_all_mistakes_of_all_sources_at_once(values: dict[str, Any]) -> None:
    values["records"] = [
        {"name": "Up loads", "table": "files", "older_than": "6h", "link": "javascript:alert({id})"},
        {
            "name": "mail",
            "statuses": [{"tone": "red"}, {"status": "a", "link": "ftp://x"}, {"status": "a", "limt": "1m"}],
        },
        {"name": "mail", "table": "mail", "where": "a; b", "url_env": "NOT_SET"},
    ]
    expected = [
        ("records[1].name", "allowed are lower-case letters"),
        ("records[1].link", "http or https"),
        ("records[1].older_than", "nothing younger than `younger_than`"),
        ("records[2].table", "is missing"),
        ("records[2].statuses[1].status", "is missing"),
        ("records[2].statuses[1].tone", 'allowed are "fine"'),
        ("records[2].statuses[2].link", "http or https"),
        ("records[2].statuses[3].status", "already"),
        ("records[2].statuses[3].limt", 'did you mean "limit"'),
        ("records[3].where", "without a semicolon"),
        ("records[3].url_env", "NOT_SET, which is not set"),
        ("records[2].name", "more than once"),
        ("records[3].name", "more than once"),
    ]
    found = mistakes(values)
    for path, part in expected:
        assert any(mistake.startswith(f"{path} ") and part in mistake for mistake in found), (path, found)
    assert len(found) == len(expected), found


@pytest.mark.parametrize("given", [{"name": "x", "table": "y"}, ["uploads"], "uploads"])
def test_records_that_are_no_list_of_tables(values: dict[str, Any], given: object) -> None:
    (mistake,) = mistakes(values | {"records": given})
    assert "written as [[records]]" in mistake
