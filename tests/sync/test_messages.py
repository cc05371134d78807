"""Messages, as docs/messages.md promises them to consumers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest

from sync.engine.messages import Message, build_message
from sync.engine.rows import Row

TASK, ORGANIZATION = UUID(int=1), UUID(int=2)
MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def row(deleted: bool = False) -> Row:
    return Row(TASK, ORGANIZATION, ("completed", None), version=7, updated_at=MOMENT, deleted=deleted)


def message(row: Row | None, version: int | None = None) -> Message:
    return build_message(
        row, key=TASK, organization=ORGANIZATION, fields=("status", "due"), version=version, job_id="J1", trace_id="t"
    )


def test_a_task_becomes_json() -> None:
    built = message(row())
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
    built = message(row(deleted=True))
    assert built.value is None
    assert dict(built.headers)["version"] == b"7"


def test_a_task_gone_from_the_source_becomes_a_tombstone_with_the_version_of_the_index() -> None:
    built = message(None, version=9)
    assert built.value is None
    assert dict(built.headers) == {"version": b"9", "job_id": b"J1", "trace_id": b"t"}


def test_names_and_values_must_be_of_one_length() -> None:
    with pytest.raises(ValueError, match="zip"):
        build_message(row(), key=TASK, organization=ORGANIZATION, fields=("status",), job_id="J1", trace_id="t")
