"""The message of one task's state, as `docs/messages.md` describes it to consumers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sync.engine.rows import Key, Row
from sync.engine.values import to_json


@dataclass(frozen=True, slots=True)
class Message:
    """One Kafka record: `value` is JSON in UTF-8, or None for a tombstone. `key` is the task's, not yet bytes."""

    key: Key
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


def build_message(  # noqa: PLR0913  # each is one part of the message; all but the row by name
    row: Row | None,
    *,
    key: Key,
    organization: Key,
    fields: Sequence[str],
    version: int | None = None,
    updated_at: datetime | None = None,
    job_id: str,
    trace_id: str,
) -> Message:
    """The message that makes the index agree with `row`, the source's present state of the task `key`.

    No row, or a deleted one, gives a tombstone. `version` and `updated_at` default to the row's own; for a task that
    the source does not have any more give the index's, so that a consumer takes the tombstone for no older than what
    it has.
    """
    if row is not None:
        version = row.version if version is None else version
        updated_at = row.updated_at if updated_at is None else updated_at
    headers = _headers(version, updated_at, job_id, trace_id)
    if row is None or row.deleted:
        return Message(key, None, headers)
    content = {
        "id": to_json(key),
        "organization_id": to_json(organization),
        "version": version,
        "updated_at": to_json(updated_at),
        "fields": {name: to_json(value) for name, value in zip(fields, row.values, strict=True)},
    }
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Message(key, text.encode(), headers)


def _headers(
    version: int | None, updated_at: datetime | None, job_id: str, trace_id: str
) -> tuple[tuple[str, bytes], ...]:
    """A header whose value is not known is left out."""
    values = {
        "version": None if version is None else str(version),
        "updated_at": None if updated_at is None else str(to_json(updated_at)),
        "job_id": job_id,
        "trace_id": trace_id,
    }
    return tuple((name, text.encode()) for name, text in values.items() if text is not None)
