"""Rows of tracked tasks by the thousand: read as tuples, written by COPY, so that a look takes seconds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from psycopg import sql

from monitoring.abandonment.evaluator import Evaluation
from monitoring.abandonment.facts import Notice, Remembered, Trouble
from monitoring.abandonment.models import TaskState, TrackedTask
from monitoring.abandonment.models.task import NOTICE_FIELDS, SAME_FIELDS
from monitoring.abandonment.source import SeenTask

REFRESHED = timedelta(hours=1)
"""How old a row may be of which only what always moves has moved: its last health and its last data."""

_MEMORY = tuple(name for name in SAME_FIELDS if name not in ("exempt", "keep_until", "enabled"))
_NOTICE = tuple(f"notice_{name}" for name in NOTICE_FIELDS)
_SEEN = (
    *("title", "kind", "owner", "scope", "enabled", "has_shards", "protected", "healthy", "data_known", "created_at"),
    *("changed_at", "failures", "restarts", "last_error", "link"),
)
_DERIVED = ("state", "hold", "seen_failures", "seen_restarts", "trouble", *_NOTICE, "disable_at", "gone_at")
_MOVING = ("last_healthy_at", "last_data_at")
COLUMNS = ("source", "key", *_SEEN, *_MOVING, *_MEMORY, *_DERIVED)
_READ = (*COLUMNS, "exempt", "keep_until", "id")
_AT = {name: place for place, name in enumerate(_READ)}
_STILL = tuple(
    place
    for name, place in _AT.items()
    if name not in (*_MOVING, "looked_at", "quiet_since", "exempt", "keep_until", "id")
)
_TABLE = sql.Identifier(TrackedTask._meta.db_table)
_NAMES = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
_MAKE = sql.SQL("CREATE TEMP TABLE tracked_look ON COMMIT DROP AS SELECT {} FROM {} LIMIT 0").format(_NAMES, _TABLE)
_COPY = sql.SQL("COPY tracked_look ({}) FROM STDIN").format(_NAMES)
_WISHES = {"exempt": False, "wish_reason": "", "wish_by": ""}
_MERGE = sql.SQL(
    "INSERT INTO {table} ({names}, {wishes}) SELECT {names}, {values} FROM tracked_look"
    " ON CONFLICT (source, key) DO UPDATE SET {sets}"
).format(
    table=_TABLE,
    names=_NAMES,
    wishes=sql.SQL(", ").join(map(sql.Identifier, _WISHES)),
    values=sql.SQL(", ").join(map(sql.Literal, _WISHES.values())),
    sets=sql.SQL(", ").join(
        sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(name)) for name in COLUMNS if name not in ("source", "key")
    ),
)


@dataclass(frozen=True, slots=True)
class Stored:
    """A row as it was read. `values` are those of `_READ`."""

    values: tuple[Any, ...]

    def __getitem__(self, name: str) -> Any:
        return self.values[_AT[name]]

    @property
    def memory(self) -> Remembered:
        number = self["notice_number"]
        return Remembered(
            **{name: self[name] for name in SAME_FIELDS},
            failures=self["seen_failures"],
            restarts=self["seen_restarts"],
            trouble=Trouble(self["trouble"]) if self["trouble"] else None,
            notice=None if number is None else Notice(*(self[name] for name in _NOTICE)),
        )


def read_stored(source: str, keys: Sequence[str]) -> dict[str, Stored]:
    """The rows of these keys, locked until the transaction ends. One query."""
    rows = TrackedTask.objects.filter(source=source, key__in=keys).order_by("key").select_for_update()
    return {row[1]: Stored(row) for row in rows.values_list(*_READ)}


def row_of(source: str, seen: SeenTask, found: Evaluation) -> tuple[Any, ...]:
    """The values of COLUMNS."""
    facts, state = seen.facts, found.remembered
    notice = state.notice
    return (
        source,
        seen.key,
        *(seen.title, seen.kind, facts.owner, seen.scope, facts.enabled, facts.has_shards, facts.protected),
        *(facts.healthy, facts.data_known, facts.created_at, facts.changed_at, facts.failures, facts.restarts),
        *(seen.last_error, seen.link, facts.last_healthy_at, facts.last_data_at),
        *(getattr(state, name) for name in _MEMORY),
        *(TaskState(found.status.value).value, found.hold.value, state.failures, state.restarts),
        state.trouble.value if state.trouble else "",
        *((None, "", None, None, None, None) if notice is None else (getattr(notice, name) for name in NOTICE_FIELDS)),
        *(notice.disable_at if notice else None, None),
    )


def is_worth_writing(row: tuple[Any, ...], stored: Stored | None, now: datetime) -> bool:
    """Whether more has changed than always does, or the row is an hour old."""
    if stored is None or now - stored["looked_at"] >= REFRESHED:
        return True
    before = stored.values
    return any(row[place] != before[place] for place in _STILL)


def write_rows(rows: Iterable[tuple[Any, ...]]) -> None:
    """Insert or replace these, wishes of people left as they are. Inside a transaction."""
    with connection.cursor() as cursor, connection.wrap_database_errors:
        cursor.execute(_MAKE)
        with cursor.copy(_COPY) as copy:
            for row in rows:
                copy.write_row(row)
        cursor.execute(_MERGE)
        cursor.execute("DROP TABLE tracked_look")


def seen_until(stored: Stored, source_looked_at: datetime | None) -> Remembered:
    """Its memory; a task that its source still had at its last look was seen then, whether or not that was written."""
    memory = stored.memory
    if source_looked_at is None or stored["gone_at"] is not None or source_looked_at <= memory.looked_at:
        return memory
    return replace(memory, looked_at=source_looked_at)
