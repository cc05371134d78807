"""What is asked of a record source's table. Every question is bounded by creation times, which its index serves.

Raises UnavailableError and OutsideDataError; `problems.py` makes of them what a page says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import perf_counter

import psycopg
from psycopg import sql

from monitoring.records.usual import STEPS, Step
from opsconsole import scope
from opsconsole.closing import Closing
from opsconsole.estate.model import RecordSource
from opsconsole.postgres import EARLIEST, Database, Query, as_datetime, identifier, table_identifier, trusted
from opsconsole.times import Window

USUAL_FROM = timedelta(days=7)
MOST_STATUSES = 200  # more than a guide ever has; a column that is no status at all has as many as records


@dataclass(frozen=True, slots=True)
class StatusCount:
    """How many records of the window are in a status, and when the oldest of them was made."""

    status: str
    count: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Breakdown:
    """`statement` is the SQL that was run, its values filled in; `seconds` what the server and the way to it took."""

    counts: tuple[StatusCount, ...]
    statement: str
    seconds: float


class RecordTable(Closing):
    """One connection to a record source, made with the first question; a context manager.

    `longest` bounds the statement timeout in seconds, for callers who may not wait as long as a page.
    """

    def __init__(self, source: RecordSource, longest: float = float("inf")) -> None:
        self.source = source
        self._organizations = scope.current().organizations
        self.database = Database(
            source.url,
            f"the database of {source.label}",
            statement_timeout=min(source.statement_timeout, longest),
            connect_timeout=min(source.connect_timeout, longest),
        )
        self.table = table_identifier(source.table)
        self.created = identifier(source.created_at)
        self.status = sql.SQL("coalesce({}::text, '')").format(identifier(source.status))

    def close(self) -> None:
        self.database.close()

    @property
    def condition(self) -> sql.Composable:
        """The estate's `where` and the scope of whoever made this, to follow other conditions."""
        where = sql.SQL("\n  AND ({})").format(trusted(self.source.where)) if self.source.where else sql.SQL("")
        return sql.SQL("{}{}").format(where, self._seen)

    @property
    def _seen(self) -> sql.Composable:
        if self._organizations is None:
            return sql.SQL("")
        if not self.source.organization:
            return sql.SQL("\n  AND false")  # nobody can tell whose they are
        return sql.SQL("\n  AND {}::text = ANY(%(seen)s)").format(identifier(self.source.organization))

    @property
    def seen_values(self) -> dict[str, object]:
        """The parameter that `condition` names."""
        return {} if self._organizations is None else {"seen": sorted(self._organizations)}

    def breakdown(self, window: Window, hidden: Sequence[str] = ()) -> Breakdown:
        """Records made in `window` by status, most first, without those in `hidden`. One query."""
        without = sql.SQL("\n  AND {} <> ALL(%(hidden)s)").format(self.status) if hidden else sql.SQL("")
        query = sql.SQL(
            "SELECT {status} AS status, count(*), min({created}) AS oldest\nFROM {table}\n"
            "WHERE {created} >= %(start)s AND {created} < %(end)s{condition}{without}\n"
            "GROUP BY 1\nORDER BY 2 DESC, 1\nLIMIT %(most)s"
        ).format(status=self.status, created=self.created, table=self.table, condition=self.condition, without=without)
        values: dict[str, object] = {
            "start": window.start,
            "end": window.end,
            "hidden": list(hidden),
            "most": MOST_STATUSES,
        } | self.seen_values
        statement = self._filled_in(query, values)
        began = perf_counter()
        rows = self.database.rows(query, values)
        seconds = perf_counter() - began
        counts = tuple(StatusCount(status, count, as_datetime(oldest) or EARLIEST) for status, count, oldest in rows)
        return Breakdown(counts, statement, seconds)

    def _filled_in(self, query: Query, values: dict[str, object]) -> str:
        return psycopg.ClientCursor(self.database.connection()).mogrify(query, values)

    def counts(self, window: Window) -> dict[str, int]:
        """Records made in `window` by status. One query."""
        return {one.status: one.count for one in self.breakdown(window).counts}

    def steps(self, now: datetime) -> list[Step]:
        """How long the records of the last week took to their last change. One query over the week, without sorting."""
        changed = identifier(self.source.updated_at)
        query = sql.SQL(
            "SELECT {status}, floor(%(steps)s * ln(greatest(1,"
            " extract(epoch FROM {changed}::timestamptz - {created}::timestamptz))))::int, count(*) FROM {table}"
            " WHERE {created} >= %(start)s AND {created} < %(end)s AND {changed} IS NOT NULL{condition} GROUP BY 1, 2"
        ).format(status=self.status, changed=changed, created=self.created, table=self.table, condition=self.condition)
        values = {"steps": STEPS, "start": now - USUAL_FROM, "end": now} | self.seen_values
        return [Step(status, step, count) for status, step, count in self.database.rows(query, values)]
