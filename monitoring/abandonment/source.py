"""What a source's table or query says of its tasks, read as it streams: memory is bounded by a portion.

Raises UnavailableError and OutsideDataError.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import psycopg
from psycopg import sql

from monitoring.abandonment.facts import Facts
from monitoring.abandonment.models.task import KEY_LENGTH, TEXT_LENGTH
from opsconsole.closing import Closing
from opsconsole.errors import OutsideDataError
from opsconsole.estate.model import TrackedSource
from opsconsole.postgres import Database, Query, as_datetime, identifier, table_identifier, trusted

PORTION = 2_000
LONGEST_ERROR = 2_000


@dataclass(frozen=True, slots=True)
class SeenTask:
    """One task as its system says it is now. `key` is its id there."""

    key: str
    facts: Facts
    title: str = ""
    kind: str = ""
    scope: str = ""
    last_error: str = ""
    link: str = ""


class TrackedTable(Closing):
    """One connection to a source, made with the first question; a context manager. `now` is the moment of the look."""

    def __init__(self, source: TrackedSource, now: datetime) -> None:
        self.source, self.now = source, now
        self.database = Database(
            source.url,
            f"the database of {source.label}",
            statement_timeout=source.statement_timeout,
            connect_timeout=source.connect_timeout,
        )

    def close(self) -> None:
        self.database.close()

    def portions(self) -> Iterator[list[SeenTask]]:
        """Every task, 2,000 at a time, by one statement."""
        rows = self.database.stream(query_of(self.source), size=PORTION)
        while portion := list(islice(rows, PORTION)):
            yield [seen_task(self.source, row, self.now) for row in portion]

    def one(self, key: str) -> SeenTask | None:
        """The task of this key, None where there is none."""
        rows = self.database.rows(query_of(self.source, one=True), {"key": key})
        return seen_task(self.source, rows[0], self.now) if rows else None


def locked_task(source: TrackedSource, connection: psycopg.Connection[Any], key: str, now: datetime) -> SeenTask | None:
    """The task of this key, its row locked in this connection's transaction. Only of a table."""
    row = connection.execute(query_of(source, one=True) + sql.SQL(" FOR UPDATE"), {"key": key}).fetchone()
    return None if row is None else seen_task(source, row, now)


def query_of(source: TrackedSource, *, one: bool = False) -> Query:
    """The columns in the order that `seen_task` reads them."""
    relation = (
        sql.SQL("({}) AS tracked").format(trusted(source.query))
        if source.query
        else table_identifier(source.table or "")
    )
    conditions = [sql.SQL("({})").format(trusted(source.where))] if source.where else []
    if one:
        conditions.append(sql.SQL("{} = %(key)s").format(identifier(source.id)))
    where = sql.SQL(" WHERE {}").format(sql.SQL(" AND ").join(conditions)) if conditions else sql.SQL("")
    columns = sql.SQL(", ").join(_columns(source))
    return sql.SQL("SELECT {} FROM {}{}").format(columns, relation, where)


def _columns(source: TrackedSource) -> Iterator[sql.Composable]:
    yield sql.SQL("{}::text").format(identifier(source.id))
    for name in (source.title, source.kind, source.owner, source.scope):
        yield _column(name, "left({}::text, 1000)", "NULL")
    for condition, otherwise in (
        (source.enabled, "true"),
        (source.has_shards, "true"),
        (source.protected, "false"),
        (source.healthy, "NULL::boolean"),
    ):
        yield sql.SQL("coalesce(({}), false)").format(trusted(condition)) if condition else sql.SQL(otherwise)
    for name in (source.created_at, source.last_healthy_at, source.last_data_at, source.changed_at):
        yield _column(name, "{}", "NULL::timestamptz")
    for name in (source.failures, source.restarts):
        yield _column(name, "coalesce({}, 0)::bigint", "0")
    yield _column(source.last_error, f"left({{}}::text, {LONGEST_ERROR})", "NULL")
    yield _column(source.link_column, "{}::text", "NULL")


def _column(name: str, form: str, otherwise: str) -> sql.Composable:
    return sql.SQL(form).format(identifier(name)) if name else sql.SQL(otherwise)


def seen_task(source: TrackedSource, row: tuple[Any, ...], now: datetime) -> SeenTask:
    (key, title, kind, owner, scope, enabled, has_shards, protected, healthy, *rest) = row
    created, last_healthy, last_data, changed, failures, restarts, error, link = rest
    if not key or len(key) > KEY_LENGTH:
        raise OutsideDataError(
            f"{source.label} has a task whose id is {str(key)[:40]!r}; an id of 1 to {KEY_LENGTH} characters is needed."
        )
    last_healthy_at = as_datetime(last_healthy)
    return SeenTask(
        key=key,
        facts=Facts(
            enabled=enabled,
            has_shards=has_shards,
            healthy=is_healthy(source, last_healthy_at, now) if healthy is None else healthy,
            created_at=as_datetime(created),
            last_healthy_at=last_healthy_at,
            last_data_at=as_datetime(last_data),
            data_known=bool(source.last_data_at),
            failures=failures,
            restarts=restarts,
            changed_at=as_datetime(changed),
            owner=(owner or "").strip()[:320],
            protected=protected,
        ),
        title=(title or "")[:TEXT_LENGTH],
        kind=(kind or "")[:TEXT_LENGTH],
        scope=(scope or "")[:TEXT_LENGTH],
        last_error=error or "",
        link=link_of(source, key, link),
    )


def is_healthy(source: TrackedSource, last_healthy_at: datetime | None, now: datetime) -> bool:
    """Told from when it was last healthy, where its system says no more."""
    return last_healthy_at is not None and now - last_healthy_at <= timedelta(seconds=source.healthy_within)


def link_of(source: TrackedSource, key: str, link: str | None = None) -> str:
    """The task's own page; empty where nobody knows it."""
    if link and link.startswith(("http://", "https://")):  # it comes from data, and people click it
        return link[:2_000]
    return source.link.replace("{id}", key)[:2_000]
