"""Which tasks the canary compares: those updated last, and some around random moments of the past days.

Both go by the time of the update, whose index the window query needs as well; a random key would need none, but says
nothing of when. A task deleted from the source without a trace is never picked: a check of its organization finds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from psycopg import sql

from opsconsole.keys import Key
from opsconsole.postgres import as_datetime, identifier
from sync.taskrows import TaskRows

EACH = 5
"""Tasks taken at each random moment."""


def updated_last(tasks: TaskRows, before: datetime, limit: int) -> list[Key]:
    """The keys of the tasks updated last, without those updated at `before` or later. One query."""
    key, _ = tasks.keys
    query = sql.SQL(
        "SELECT {key} FROM {table} WHERE {moment} < %(before)s AND {condition} ORDER BY {moment} DESC LIMIT %(limit)s"
    ).format(**_names(tasks), key=key.match)
    return [key.load(value) for (value,) in tasks.database.rows(query, {"before": before, "limit": limit})]


def updated_after(tasks: TaskRows, after: datetime, before: datetime, limit: int) -> tuple[list[Key], datetime | None]:
    """The keys of the first tasks updated later than `after`, and before `before`, and when the last of them was. One
    query."""
    key, _ = tasks.keys
    query = sql.SQL(
        "SELECT {key}, {moment} FROM {table} WHERE {moment} > %(after)s AND {moment} < %(before)s AND {condition}"
        " ORDER BY {moment} LIMIT %(limit)s"
    ).format(**_names(tasks), key=key.match)
    values: dict[str, object] = {"after": after, "before": before, "limit": limit}
    rows = tasks.database.rows(query, values)
    return [key.load(value) for value, _ in rows], as_datetime(rows[-1][1]) if rows else None


def updated_about(tasks: TaskRows, moments: Sequence[datetime], before: datetime) -> list[Key]:
    """At each of the moments the keys of the first five tasks updated from then on, and before `before`. One query."""
    if not moments:
        return []
    key, _ = tasks.keys
    query = sql.SQL(
        "SELECT found.key FROM unnest(%(moments)s::timestamptz[]) AS picked(at), LATERAL ("
        "SELECT {key} AS key FROM {table} WHERE {moment} >= picked.at AND {moment} < %(before)s AND {condition}"
        " ORDER BY {moment} LIMIT %(each)s) AS found"
    ).format(**_names(tasks), key=key.match)
    values: dict[str, object] = {"moments": list(moments), "before": before, "each": EACH}
    return [key.load(value) for (value,) in tasks.database.rows(query, values)]


def _names(tasks: TaskRows) -> dict[str, sql.Composable]:
    return {"table": tasks.table, "moment": identifier(tasks.shape.updated_at), "condition": tasks.condition}
