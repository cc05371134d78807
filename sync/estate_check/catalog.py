"""What PostgreSQL's catalog says about one table, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import sql

from opsconsole.estate.model import TableName
from opsconsole.postgres import Database, name_parts

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


@dataclass(frozen=True, slots=True)
class TableFacts:
    """`columns` gives the type of each, `rows` is the planner's estimate (-1 where it was never analysed)."""

    columns: Mapping[str, str]
    indexes: tuple[IndexFacts, ...]
    rows: int
    readable: bool
    writable: bool
    is_view: bool


def table_facts(database: Database, table: TableName) -> TableFacts | None:
    """None where there is no such table. Four short queries. Raises UnavailableError, OutsideDataError."""
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
    return TableFacts(columns, indexes, rows, readable, writable, kind in {"v", "f", b"v", b"f"})
