"""What PostgreSQL's catalog says about one table, as plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from opsconsole.estate.model import TableName
from opsconsole.postgres import EARLIEST, Database, as_datetime, name_parts
from opsconsole.times import Window

_COLUMNS = """
    SELECT a.attname, format_type(a.atttypid, NULL)
    FROM pg_attribute a
    WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
"""

_INDEXES = """
    SELECT i.indnkeyatts,
           array_agg(COALESCE(c.collname, '') ORDER BY n),
           array_agg(COALESCE(a.attname, '') ORDER BY n)
    FROM pg_index i
    JOIN pg_class r ON r.oid = i.indexrelid
    JOIN pg_am m ON m.oid = r.relam AND m.amname = 'btree'
    CROSS JOIN LATERAL generate_series(1, i.indnatts) n
    LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[n - 1] AND a.attnum > 0
    LEFT JOIN pg_collation c ON n <= i.indnkeyatts AND c.oid = i.indcollation[n - 1]
    WHERE i.indrelid = %s AND i.indisvalid AND i.indpred IS NULL
    GROUP BY i.indexrelid, i.indnkeyatts
"""


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """One valid, whole btree index: its key columns with their collations, and the columns it only carries."""

    keys: tuple[str, ...]
    collations: tuple[str, ...]
    included: tuple[str, ...] = ()


_LAST_UPDATES = """
    SELECT bounds[array_length(bounds, 1) - 1], bounds[array_length(bounds, 1)]
    FROM (
        SELECT s.histogram_bounds::text::timestamptz[] AS bounds
        FROM pg_stats s
        JOIN pg_class c ON c.relname = s.tablename AND c.relnamespace = quote_ident(s.schemaname)::regnamespace
        WHERE c.oid = to_regclass(%s) AND s.attname = %s
    ) known
    WHERE array_length(bounds, 1) > 1
"""

_VISIBILITY = """
    SELECT c.relpages, c.relallvisible, COALESCE(s.n_dead_tup + s.n_ins_since_vacuum, 0)
    FROM pg_class c LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
    WHERE c.oid = %s
"""


@dataclass(frozen=True, slots=True)
class Visibility:
    """What is known of the visibility map: how many pages there are and how many of them were visible to all when the
    table was last vacuumed or analysed, and about how many rows changed since the last vacuum. 0 pages: not known."""

    pages: int = 0
    visible: int = 0
    changed: int = 0


@dataclass(frozen=True, slots=True)
class TableFacts:
    """`columns` gives the type of each, `rows` is the planner's estimate (-1 where it was never analysed)."""

    columns: Mapping[str, str]
    indexes: tuple[IndexFacts, ...]
    rows: int
    readable: bool
    writable: bool
    is_view: bool
    visibility: Visibility = Visibility()


def table_facts(database: Database, table: TableName) -> TableFacts | None:
    """None where there is no such table. Five short queries. Raises UnavailableError, OutsideDataError."""
    name = sql.Identifier(*name_parts(table)).as_string()
    found = database.rows(
        sql.SQL("SELECT c.oid, c.reltuples::bigint, c.relkind FROM pg_class c WHERE c.oid = to_regclass(%s)"), (name,)
    )
    if not found:
        return None
    oid, rows, kind = found[0]
    columns = dict(database.rows(sql.SQL(_COLUMNS), (oid,)))
    indexes = tuple(
        IndexFacts(tuple(names[:keys]), tuple(collations[:keys]), tuple(names[keys:]))
        for keys, collations, names in database.rows(sql.SQL(_INDEXES), (oid,))
    )
    readable, writable = database.row(
        sql.SQL(
            "SELECT has_any_column_privilege(%s::oid, 'SELECT'), has_table_privilege(%s::oid, 'INSERT, UPDATE, DELETE')"
        ),
        (oid, oid),
    )
    visibility = Visibility(*database.row(sql.SQL(_VISIBILITY), (oid,)))
    return TableFacts(columns, indexes, rows, readable, writable, kind in {"v", "f", b"v", b"f"}, visibility)


def last_updates(database: Database, table: TableName, updated_at: str) -> Window | None:
    """The window of about the last hundredth of all updates, by the server's statistics; None where it has none."""
    name = sql.Identifier(*name_parts(table)).as_string()
    for start, end in database.rows(sql.SQL(_LAST_UPDATES), (name, updated_at)):
        return Window(as_datetime(start) or EARLIEST, as_datetime(end) or EARLIEST)
    return None


def scans(plan: Mapping[str, Any], table: TableName) -> Iterator[str]:
    """The nodes of a plan (EXPLAIN's JSON) that read `table`: "Parallel Seq Scan", "Index Only Scan"."""
    if plan.get("Relation Name") == name_parts(table)[-1]:
        yield f"{'Parallel ' if plan.get('Parallel Aware') else ''}{plan['Node Type']}"
    for part in plan.get("Plans", ()):
        yield from scans(part, table)
