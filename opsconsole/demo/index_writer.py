"""Messages into the index database: newer ones win, an older one changes nothing, a deleted task stays deleted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

BURY = """
INSERT INTO tombstones (id, version)
SELECT m.id, m.version FROM unnest(%(ids)s::uuid[], %(versions)s::bigint[]) AS m (id, version)
WHERE NOT EXISTS (SELECT FROM tasks WHERE tasks.id = m.id AND tasks.version > m.version)
ON CONFLICT (id) DO UPDATE SET version = excluded.version, at = now() WHERE tombstones.version <= excluded.version
RETURNING id
"""
UPSERT = """
INSERT INTO tasks (id, organization_id, status, title, assignee_id, due_at, version, updated_at)
SELECT m.id, m.organization_id, m.status, m.title, m.assignee_id, m.due_at, m.version, m.updated_at
FROM jsonb_to_recordset(%(rows)s::jsonb) AS m (
    id uuid, organization_id uuid, status text, title text, assignee_id uuid, due_at timestamptz, version bigint,
    updated_at timestamptz)
WHERE NOT EXISTS (SELECT FROM tombstones t WHERE t.id = m.id AND t.version > m.version)
ON CONFLICT (id) DO UPDATE SET
    organization_id = excluded.organization_id, status = excluded.status, title = excluded.title,
    assignee_id = excluded.assignee_id, due_at = excluded.due_at, version = excluded.version,
    updated_at = excluded.updated_at, indexed_at = now()
WHERE tasks.version <= excluded.version
RETURNING id
"""


class UnreadableMessageError(ValueError):
    """Not a message of this topic; says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Message:
    """One task's state. `row` has the index's columns by name, as JSON values; None deletes the task."""

    key: UUID
    version: int
    row: dict[str, Any] | None


def read_message(key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes]]) -> Message:
    """A record as a message. Its version is in the value, a tombstone's in the header. Or UnreadableMessageError."""
    try:
        task = UUID((key or b"").decode())
        if value is None:
            return Message(task, int(dict(headers)["version"]), None)
        body = json.loads(value)
        row = {
            "id": str(UUID(body["id"])),
            "organization_id": str(UUID(body["organization_id"])),
            "version": int(body["version"]),
            "updated_at": body["updated_at"],
            **{name: body["fields"][name] for name in ("status", "title", "assignee_id", "due_at")},
        }
    except KeyError as error:
        raise UnreadableMessageError(f"it has no {error}") from error
    except (ValueError, TypeError) as error:
        raise UnreadableMessageError(str(error)) from error
    return Message(task, row["version"], row)


def newest(messages: Sequence[Message]) -> list[Message]:
    """One message per task: what applying them one by one would leave. Of equal versions the later one counts."""
    kept: dict[UUID, Message] = {}
    for message in messages:
        if message.key not in kept or message.version >= kept[message.key].version:
            kept[message.key] = message
    return list(kept.values())


def apply(connection: psycopg.Connection[Any], messages: Sequence[Message]) -> int:
    """Write a batch and commit; returns how many tasks changed. A message older than what is there is dropped."""
    chosen = newest(messages)
    with connection.transaction():
        return _bury([m for m in chosen if m.row is None], connection) + _upsert(chosen, connection)


def _bury(graves: list[Message], connection: psycopg.Connection[Any]) -> int:
    parameters = {"ids": [m.key for m in graves], "versions": [m.version for m in graves]}
    buried = [row[0] for row in connection.execute(BURY, parameters)]
    connection.execute("DELETE FROM tasks WHERE id = ANY(%s)", (buried,))
    return len(buried)


def _upsert(chosen: list[Message], connection: psycopg.Connection[Any]) -> int:
    rows = json.dumps([m.row for m in chosen if m.row is not None])
    written = [row[0] for row in connection.execute(UPSERT, {"rows": rows})]
    connection.execute("DELETE FROM tombstones WHERE id = ANY(%s)", (written,))
    return len(written)
