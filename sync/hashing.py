"""Hashing the compared columns on the server, alike on both sides.

The hash chains the server's own typed hash functions, which cost about half of hashing a text; both sides are asked for
samples first, since other major versions or builds may hash differently, and fall back to a portable (slower) text
hash where they do. The seed is new for every job: two rows that hash alike by accident do so once, and cannot hide
their drift again.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from psycopg import sql

from opsconsole.errors import OutsideDataError
from opsconsole.postgres import Database, identifier, table_identifier
from sync.taskrows import TaskRows


class HashClass(StrEnum):
    """How a compared column is hashed. Columns of one class hash alike whatever their exact type."""

    TEXT = "text"
    INTEGER = "integer"
    NUMERIC = "numeric"
    FLOAT = "float"
    BOOLEAN = "boolean"
    UUID = "uuid"
    INSTANT = "timestamptz"
    TIMESTAMP = "timestamp"
    DATE = "date"
    JSON = "json"


_CLASS_OF_OID = {
    16: HashClass.BOOLEAN,
    20: HashClass.INTEGER,
    21: HashClass.INTEGER,
    23: HashClass.INTEGER,
    25: HashClass.TEXT,
    1043: HashClass.TEXT,
    701: HashClass.FLOAT,
    1082: HashClass.DATE,
    1114: HashClass.TIMESTAMP,
    1184: HashClass.INSTANT,
    1700: HashClass.NUMERIC,
    2950: HashClass.UUID,
    114: HashClass.JSON,
    3802: HashClass.JSON,
}

# value (in the class's own type), NULL's stand-in made from the seed, typed hash function with its seed, portable text
_VALUE = {
    HashClass.TEXT: "{c}::text",
    HashClass.INTEGER: "{c}::int8",
    HashClass.NUMERIC: "{c}::numeric",
    HashClass.FLOAT: "{c}::float8",
    HashClass.BOOLEAN: "{c}::int4",
    HashClass.UUID: "{c}",
    HashClass.INSTANT: "({c} AT TIME ZONE 'UTC')",
    HashClass.TIMESTAMP: "{c}",
    HashClass.DATE: "{c}::timestamp",
    HashClass.JSON: "{c}::jsonb",
}
_FUNCTION = {
    HashClass.TEXT: 'hashtextextended({v} COLLATE "C", {s})',
    HashClass.INTEGER: "hashint8extended({v}, {s})",
    HashClass.NUMERIC: "hash_numeric_extended({v}, {s})",
    HashClass.FLOAT: "hashfloat8extended({v}, {s})",
    HashClass.BOOLEAN: "hashint4extended({v}, {s})",
    HashClass.UUID: "uuid_hash_extended({v}, {s})",
    HashClass.INSTANT: "timestamp_hash_extended({v}, {s})",
    HashClass.TIMESTAMP: "timestamp_hash_extended({v}, {s})",
    HashClass.DATE: "timestamp_hash_extended({v}, {s})",
    # Its own function takes [] for {}, 1 for [1] and [1] for [[[1]]], whatever the seed: so the brackets are hashed as
    # well. They come with all of the text but its digits and points, since 2.5 and 2.50 are one value.
    HashClass.JSON: (
        "hashtextextended(translate({v}::text, '.0123456789', '') COLLATE \"C\", jsonb_hash_extended({v}, {s}))"
    ),
}
_PORTABLE_TEXT = {HashClass.NUMERIC: "trim_scale({v})::text"}
_SAMPLES = {
    HashClass.TEXT: ("'a'", "''", "'\u00fc\U0001f600'"),
    HashClass.INTEGER: ("0", "-1", "9007199254740993"),
    HashClass.NUMERIC: ("1.50", "-0.001", "12345678901234567890"),
    HashClass.FLOAT: ("0::float8", "-1.5::float8", "'NaN'::float8"),
    HashClass.BOOLEAN: ("true", "false"),
    HashClass.UUID: ("'00000000-0000-0000-0000-000000000000'::uuid", "'a3bb189e-8bf9-3888-9912-ace4e6543002'::uuid"),
    HashClass.INSTANT: ("'2020-02-29 12:00:00.000001+02'::timestamptz", "'infinity'::timestamptz"),
    HashClass.TIMESTAMP: ("'2020-02-29 12:00:00.000001'::timestamp", "'-infinity'::timestamp"),
    HashClass.DATE: ("'1999-12-31'::date", "'infinity'::date"),
    HashClass.JSON: ("'{\"a\": [1, 2.50, null]}'::jsonb", "'\"x\"'::jsonb"),
}


_EPOCH = datetime(2000, 1, 1)  # noqa: DTZ001  (a timestamp without zone, as the hashed value is)


def value_of(hash_class: HashClass, column: sql.Composable) -> sql.Composed:
    """The column as a value of the class's own type."""
    return sql.SQL(_VALUE[hash_class]).format(c=column)


def _null(hash_class: HashClass, seed: int) -> object:
    """What NULL is hashed as: a value of the class that no row has but by a chance the next seed takes away."""
    match hash_class:
        case HashClass.BOOLEAN:
            return 2
        case HashClass.INTEGER | HashClass.NUMERIC | HashClass.FLOAT:
            return seed
        case HashClass.UUID:
            return str(UUID(int=seed))
        case HashClass.INSTANT | HashClass.TIMESTAMP | HashClass.DATE:
            return str(_EPOCH + timedelta(microseconds=seed % 10**17))
        case HashClass.TEXT:
            return f"\x01null {seed}"
        case HashClass.JSON:
            return json.dumps(f"null {seed}")


_NULL_TYPE = {
    HashClass.TEXT: "text",
    HashClass.INTEGER: "int8",
    HashClass.NUMERIC: "numeric",
    HashClass.FLOAT: "float8",
    HashClass.BOOLEAN: "int4",
    HashClass.UUID: "uuid",
    HashClass.INSTANT: "timestamp",
    HashClass.TIMESTAMP: "timestamp",
    HashClass.DATE: "timestamp",
    HashClass.JSON: "jsonb",
}


@dataclass(frozen=True, slots=True)
class HashRecipe:
    """How both sides hash the compared columns: a class each, the attempt's seed, typed or portable functions."""

    classes: tuple[HashClass, ...]
    seed: int
    portable: bool = False

    def expression(self, columns: Sequence[sql.Composable], start: sql.Composable | None = None) -> sql.Composable:
        """The 8-byte hash of the columns as SQL, chained onto the hash `start` (the seed, where there is none)."""
        link = start or sql.SQL("{}::int8").format(sql.Literal(self.seed))
        step = self._portable if self.portable else self._typed
        for column, hash_class in zip(columns, self.classes, strict=True):
            link = step(column, hash_class, link)
        return link

    def _typed(self, column: sql.Composable, hash_class: HashClass, link: sql.Composable) -> sql.Composed:
        # The hash functions are strict: a NULL would make the whole row's hash NULL and drop it without a word.
        value = sql.SQL("COALESCE({}, {}::{})").format(
            value_of(hash_class, column),
            sql.Literal(_null(hash_class, self.seed)),
            sql.SQL(_NULL_TYPE[hash_class]),
        )
        return sql.SQL(_FUNCTION[hash_class]).format(v=value, s=link)

    @staticmethod
    def _portable(column: sql.Composable, hash_class: HashClass, link: sql.Composable) -> sql.Composed:
        value = value_of(hash_class, column)
        text = sql.SQL(_PORTABLE_TEXT.get(hash_class, "{v}::text")).format(v=value)
        return sql.SQL("('x' || substr(md5({}::text || COALESCE('=' || {}, '')), 1, 16))::bit(64)::int8").format(
            link, text
        )

    def samples(self) -> sql.Composed:
        """A query that hashes samples of every class in use, and NULL: what both sides must agree on."""
        hashes = [
            HashRecipe((hash_class,), self.seed, self.portable).expression([sql.SQL(f"({sample})")])
            for hash_class in sorted(set(self.classes))
            for sample in (*_SAMPLES[hash_class], f"NULL::{hash_class.value}")
        ]
        return sql.SQL("SELECT ARRAY[{}]").format(sql.SQL(", ").join(hashes))


def new_seed() -> int:
    return secrets.randbits(62)


def hash_alike(recipe: HashRecipe, source: Database, index: Database) -> bool:
    query = recipe.samples()
    try:
        return source.row(query) == index.row(query)
    except OutsideDataError:
        return False  # a hash function that this server does not have


def column_classes(tasks: TaskRows) -> list[HashClass | None]:
    """The hash class of each compared column; None for a type without one. One or two queries."""
    query = sql.SQL("SELECT {} FROM {} LIMIT 0").format(
        sql.SQL(", ").join(map(identifier, tasks.shape.values)), table_identifier(tasks.shape.table)
    )
    oids = [column.type_code for column in tasks.database.columns(query)]
    enums = _enum_oids(tasks.database, [oid for oid in oids if oid not in _CLASS_OF_OID])
    return [HashClass.TEXT if oid in enums else _CLASS_OF_OID.get(oid) for oid in oids]


def _enum_oids(database: Database, oids: list[int]) -> set[int]:
    if not oids:
        return set()
    query = sql.SQL("SELECT oid::int8 FROM pg_type WHERE typtype = 'e' AND oid = ANY(%s::oid[])")
    return {oid for (oid,) in database.rows(query, (oids,))}
