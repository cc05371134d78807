"""Messages, as docs/messages.md promises them to consumers."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from sync.engine.messages import Message, MessageWriter
from sync.engine.rows import DriftKind, Finding, Row
from sync.engine.written import state_of

TASK, ORGANIZATION = UUID(int=1), UUID(int=2)
MOMENT, NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC)
WRITER = MessageWriter(job_id="J1", trace_id="t", number_keys=False, now=lambda: NOW)


def row(deleted: bool = False) -> Row:
    return Row(TASK, ORGANIZATION, ("completed", None), version=7, updated_at=MOMENT, deleted=deleted)


def message(kind: DriftKind, source: Row | None, index: Row | None = None) -> Message:
    mine, theirs = (None if row is None else state_of(row, ("status", "due")) for row in (source, index))
    return WRITER.message(Finding(str(TASK), kind, mine, theirs))


def test_a_task_becomes_json() -> None:
    built = message(DriftKind.MISSING, row())
    assert built.value is not None
    assert json.loads(built.value) == {
        "id": str(TASK),
        "organization_id": str(ORGANIZATION),
        "version": 7,
        "updated_at": "2026-01-02T03:04:05.000000+00:00",
        "fields": {"status": "completed", "due": None},
    }
    assert dict(built.headers) == {
        "version": b"7",
        "updated_at": b"2026-01-02T03:04:05.000000+00:00",
        "job_id": b"J1",
        "trace_id": b"t",
    }


def test_a_deleted_task_becomes_a_tombstone_with_its_version() -> None:
    built = message(DriftKind.ORPHAN, row(deleted=True), row())
    assert built.value is None
    assert dict(built.headers)["version"] == b"7"


def test_a_task_gone_from_the_source_becomes_a_tombstone_with_a_version_above_the_indexs() -> None:
    built = message(DriftKind.ORPHAN, None, replace(row(), version=9))
    assert built.value is None
    assert dict(built.headers) == {
        "version": b"10",
        "updated_at": b"2026-01-03T00:00:00.000000+00:00",
        "job_id": b"J1",
        "trace_id": b"t",
    }


def test_without_a_version_there_is_no_header_of_it() -> None:
    built = message(DriftKind.ORPHAN, None, replace(row(), version=None))
    assert "version" not in dict(built.headers)


def test_whole_numbers_are_numbers_and_texts_are_escaped() -> None:
    state = state_of(Row(7, 'an "organization"', ("a\\\n\u00fc\U0001f600",), 1, MOMENT), ('a "name"',))
    built = MessageWriter(job_id="J1", trace_id="t", number_keys=True, now=lambda: NOW).message(
        Finding("7", DriftKind.MISSING, state, None)
    )
    assert built.value is not None
    content = json.loads(built.value)
    assert (content["id"], content["organization_id"]) == (7, 'an "organization"')
    assert content["fields"] == {'a "name"': "a\\\n\u00fc\U0001f600"}


def test_names_and_values_must_be_of_one_length() -> None:
    with pytest.raises(ValueError, match="zip"):
        state_of(row(), ("status",))
