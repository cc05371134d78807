"""Many rows in one INSERT that says which of them are new.

Django's own does not say so where it leaves out what is there already, and its statement grows with the rows: writing
it takes most of the time of firing a thousand runs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeVar

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection
from django.db.models import Field, Model
from django.db.models.expressions import DatabaseDefault
from psycopg import sql

Row = TypeVar("Row", bound=Model)

NUMBERS = sql.SQL("SELECT nextval(pg_get_serial_sequence({table}, {key})) FROM generate_series(1, %s)")
INSERT = sql.SQL(
    "INSERT INTO {table} ({names}) SELECT {names} FROM jsonb_to_recordset(%s::jsonb) AS given ({typed})"
    " ON CONFLICT DO NOTHING RETURNING {key}"
)


def insert_new(rows: Sequence[Row]) -> list[Row]:
    """Insert rows of one model and leave out those that its unique keys refuse. Returns the new ones, in order.

    All are given their numbers. Two statements of fixed length, however many rows; none for none.
    """
    if not rows:
        return []
    fields = _written(rows[0])
    meta = rows[0]._meta
    key = meta.pk
    names = {"table": sql.Identifier(meta.db_table), "key": _name(key)}
    with connection.cursor() as cursor:
        serial = NUMBERS.format(table=sql.Literal(meta.db_table), key=sql.Literal(key.column))
        cursor.execute(serial, [len(rows)])
        for row, (number,) in zip(rows, cursor.fetchall(), strict=True):
            row.pk = number
        cursor.execute(
            INSERT.format(
                names=sql.SQL(", ").join(map(_name, fields)),
                typed=sql.SQL(", ").join(map(_typed, fields)),
                **names,
            ),
            [json.dumps([{one.column: getattr(row, one.attname) for one in fields} for row in rows], cls=_Encoder)],
        )
        new = {number for (number,) in cursor.fetchall()}
    return [row for row in rows if row.pk in new]


def _written(row: Model) -> list[Field[Any, Any]]:
    """Without what the database fills in by itself."""
    fields = [field for field in row._meta.concrete_fields if not field.generated]
    return [field for field in fields if not isinstance(getattr(row, field.attname), DatabaseDefault)]


def _name(field: Field[Any, Any]) -> sql.Composable:
    return sql.Identifier(str(field.column))


def _typed(field: Field[Any, Any]) -> sql.Composable:
    kind = field.rel_db_type(connection) if field.primary_key else field.db_type(connection)
    return sql.SQL("{} {}").format(_name(field), sql.SQL(str(kind)))


class _Encoder(DjangoJSONEncoder):
    """Keeps microseconds, which Django's own cuts to thousandths."""

    def default(self, o: Any) -> Any:
        if isinstance(o, timedelta):
            return f"{o // timedelta(microseconds=1)} microseconds"
        return o.isoformat() if hasattr(o, "isoformat") else super().default(o)
