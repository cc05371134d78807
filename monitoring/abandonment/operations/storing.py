"""Rows of tracked tasks by the thousand: read as tuples, written by COPY, so that a look takes seconds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter, itemgetter
from typing import Any

import psycopg
from django.db import connection
from psycopg import sql
from psycopg.pq import Format

from monitoring.abandonment.evaluator import Evaluation
from monitoring.abandonment.facts import NO_TIME, Notice, Remembered, Trouble
from monitoring.abandonment.health import quiet_since
from monitoring.abandonment.models import TaskState, TrackedTask
from monitoring.abandonment.models.task import NOTICE_FIELDS, SAME_FIELDS
from monitoring.abandonment.rules import Rules
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
_STILL = itemgetter(
    *(place for name, place in _AT.items() if name in COLUMNS and name not in (*_MOVING, "looked_at", "quiet_since"))
)
_OF_MEMORY = attrgetter(*_MEMORY)
_FIRST = (
    *("first_seen_at", "looked_at", "enabled", "enabled_since", "healthy_since", "failing_since"),
    *("failing_unknown", "quiet_since", "quiet_uncounted", "failures", "restarts", "restarts_before"),
)
_REMEMBERED = itemgetter(*(_AT[f"seen_{name}" if name in ("failures", "restarts") else name] for name in _FIRST))
_WORDS = (*_SEEN, "seen_failures", "seen_restarts")
_CALM = {"state": TaskState.HEALTHY.value, "hold": "", "trouble": "", "failing_since": None, "gone_at": None} | {
    "quiet_uncounted": NO_TIME
}
GLANCED = ("healthy_since", "enabled_since", "first_seen_at", "looked_at", *_CALM, *_WORDS)
_WITHOUT_TROUBLE = tuple(_CALM.values())
_TABLE = sql.Identifier(TrackedTask._meta.db_table)
_NAMES = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
_READ_ROWS = sql.SQL("SELECT {} FROM {} WHERE source = %s AND key = ANY(%s)")
_READ_LOCKED = _READ_ROWS.format(sql.SQL(", ").join(map(sql.Identifier, _READ)), _TABLE) + sql.SQL(
    " ORDER BY key FOR UPDATE"
)
_READ_GLANCE = _READ_ROWS.format(sql.SQL(", ").join(map(sql.Identifier, ("key", *GLANCED))), _TABLE)
_TIMES = psycopg.adapters.get_loader(psycopg.adapters.types["timestamptz"].oid, Format.TEXT)
_MAKE = sql.SQL(
    "CREATE TEMP TABLE IF NOT EXISTS tracked_look ON COMMIT DELETE ROWS AS SELECT {} FROM {} LIMIT 0"
).format(_NAMES, _TABLE)
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

    def memory(self, seen_until: datetime | None = None) -> Remembered:
        """What is remembered of it; `seen_until` is a later look that saw it, too, and did not write that down."""
        known: dict[str, Any] = dict(zip(_FIRST, _REMEMBERED(self.values), strict=True))
        if seen_until is not None and self["gone_at"] is None:
            known["looked_at"] = max(known["looked_at"], seen_until)
        number = self["notice_number"]
        return Remembered(
            **known,
            trouble=Trouble(self["trouble"]) if self["trouble"] else None,
            trouble_since=self["trouble_since"],
            forced_at=self["forced_at"],
            notice=None if number is None else Notice(*(self[name] for name in _NOTICE)),
            notices=self["notices"],
            exempt=self["exempt"],
            keep_until=self["keep_until"],
        )


@dataclass(frozen=True, slots=True)
class Glance:
    """What of a row tells whether its task needs evaluating. `values` are those of `GLANCED`."""

    values: tuple[Any, ...]

    def is_uneventful(
        self, seen: SeenTask, rules: Rules, now: datetime, *, looked_at: datetime | None, patience: timedelta
    ) -> bool:
        """Whether evaluating it would decide nothing and change no more than what always moves. Pure.

        True of nearly every task at nearly every look: it was healthy, it is, and it moves data or may still stand.
        Asked first, it spares the look the evaluation, and the row its lock.
        """
        healthy_since, enabled_since, first_seen_at, written_at, *rest = self.values
        if tuple(rest) != (*_WITHOUT_TROUBLE, *_words_of(seen)):
            return False
        if healthy_since is None or now - written_at >= REFRESHED:
            return False
        if now - max(written_at, looked_at or written_at) > patience:
            return False
        facts = seen.facts
        quiet = quiet_since(facts, enabled_since, first_seen_at, now)
        well = facts.enabled and facts.has_shards and facts.healthy
        return well and (quiet is None or now - quiet < rules.idle_after)


def read_stored(source: str, keys: Sequence[str]) -> dict[str, Stored]:
    """The rows of these keys, locked until the transaction ends. One query."""
    return {row[1]: Stored(row) for row in _read(_READ_LOCKED, source, keys)}


def glance(source: str, keys: Sequence[str]) -> dict[str, Glance]:
    """A look at the rows of these keys, which stay as free as they are. One query."""
    return {key: Glance(tuple(values)) for key, *values in _read(_READ_GLANCE, source, keys)}


def _read(query: sql.Composed, source: str, keys: Sequence[str]) -> list[tuple[Any, ...]]:
    """Past Django's own loading of times, which would take a third of a look."""
    with connection.cursor() as cursor, connection.wrap_database_errors:
        plain = cursor.connection.cursor()
        plain.adapters.register_loader("timestamptz", _TIMES)
        plain.execute(query, (source, list(keys)))
        rows: list[tuple[Any, ...]] = plain.fetchall()
        return rows


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
        *_OF_MEMORY(state),
        *(TaskState(found.status.value).value, found.hold.value, state.failures, state.restarts),
        state.trouble.value if state.trouble else "",
        *((None, "", None, None, None, None) if notice is None else (getattr(notice, name) for name in NOTICE_FIELDS)),
        *(notice.disable_at if notice else None, None),
    )


def is_worth_writing(row: tuple[Any, ...], stored: Stored | None, now: datetime) -> bool:
    """Whether more has changed than always does, or the row is an hour old."""
    if stored is None or now - stored["looked_at"] >= REFRESHED:
        return True
    return bool(_STILL(row) != _STILL(stored.values))


def _words_of(seen: SeenTask) -> tuple[Any, ...]:
    """The values of _SEEN, and of both counters once more: as they are remembered."""
    facts = seen.facts
    return (
        *(seen.title, seen.kind, facts.owner, seen.scope, facts.enabled, facts.has_shards, facts.protected),
        *(facts.healthy, facts.data_known, facts.created_at, facts.changed_at, facts.failures, facts.restarts),
        *(seen.last_error, seen.link, facts.failures, facts.restarts),
    )


def analyze() -> None:
    """After the first portion of a first look: until autovacuum comes, the planner thinks that few rows are of a
    source, and reads all of them for each portion in place of those by key."""
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("ANALYZE {}").format(_TABLE))


def write_rows(rows: Iterable[tuple[Any, ...]]) -> None:
    """Insert or replace these, wishes of people left as they are. Inside a transaction."""
    rows = list(rows)
    if not rows:
        return
    with connection.cursor() as cursor, connection.wrap_database_errors:
        cursor.execute(_MAKE)
        with cursor.copy(_COPY) as copy:
            for row in rows:
                copy.write_row(row)
        cursor.execute(_MERGE)
        cursor.execute("DELETE FROM tracked_look")
