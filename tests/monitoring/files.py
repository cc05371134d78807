"""A record table that nobody here designed: odd schema, quoted mixed-case columns, bigint keys, prefixed statuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import psycopg
from psycopg import sql

from opsconsole.estate.model import RecordSource, RecordStatus
from opsconsole.keys import KeyKind
from opsconsole.tones import Tone
from tests.sync.stores import Store, temporary_store

UseRecords: TypeAlias = Callable[..., None]
PREFIX = "status.generic."
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TABLE = "My.Files 100%"
CREATE = f"""
CREATE TABLE "{TABLE}" (
    "FileId" bigint PRIMARY KEY, "St atus%" text, "Created""At" timestamptz, "updatedAt" timestamp,
    "Org Id" uuid, "fileName" text, "Kind" text NOT NULL DEFAULT 'upload'
)
"""
INSERT = 'INSERT INTO "My.Files 100%%" VALUES (%s, %s, %s, %s, %s, %s, %s)'


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


class Files:
    """The table, its source as an estate would say it, and rows put in by age in minutes."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._next = 1

    def source(self, **changed: Any) -> RecordSource:
        statuses = (
            RecordStatus(f"{PREFIX}uploaded", "uploaded", Tone.WAITING, limit=3600.0),
            RecordStatus(f"{PREFIX}processing", "processing", Tone.WORKING, limit=1800.0, action="Look at the queue."),
            RecordStatus(f"{PREFIX}error", "error", Tone.PROBLEM),
            RecordStatus(f"{PREFIX}ok", "ok", Tone.FINE),
        )
        keys: dict[str, Any] = {
            "name": "odd-files",
            "label": "Odd files",
            "url": self.store.url,
            "table": self.store.table(TABLE),
            "id": "FileId",
            "id_type": KeyKind.INTEGER,
            "status": "St atus%",
            "created_at": 'Created"At',
            "updated_at": "updatedAt",
            "organization": "Org Id",
            "title": "fileName",
            "link": "https://app.example.com/files/{id}",
            "where": "\"Kind\" LIKE 'up%'",
            "hidden": (f"{PREFIX}ok",),
            "status_prefix": PREFIX,
            "statuses": statuses,
        }
        return RecordSource(**(keys | changed))

    def add(self, status: str | None, made: float, changed: float | None = None, count: int = 1, **more: Any) -> None:
        """`count` records made `made` minutes before NOW (`more["now"]`), last changed `changed` minutes before it."""
        now = more.get("now", NOW)
        when = now - minutes(made)
        updated = None if changed is None else (now - minutes(changed)).replace(tzinfo=None)
        prefixed = f"{PREFIX}{status}" if status and "." not in status else status
        with psycopg.connect(self.store.url, autocommit=True) as connection:
            connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(self.store.schema)))
            for _ in range(count):
                row = (prefixed, when, updated, more.get("organization"), more.get("title"), more.get("kind", "upload"))
                connection.execute(INSERT, (self._next, *row))
                self._next += 1

    def clear(self) -> None:
        self.store.run(f'DELETE FROM "{TABLE}"')  # noqa: S608  (a constant)


@contextmanager
def odd_files(admin_url: str) -> Iterator[Files]:
    with temporary_store(admin_url) as store:
        store.run(CREATE)
        store.run(f'CREATE INDEX ON "{TABLE}" ("Created""At")')
        yield Files(store)
