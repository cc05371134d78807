"""Packing a key range on the server: each PostgreSQL side answers with one byte string, or with a count and a sum.

A cell is the key in its fixed-width binary form and an 8-byte hash of the compared fields. The hash chains the server's
own typed hash functions, which cost about half of hashing a text; both sides are asked for samples first, since other
major versions or builds may hash differently, and fall back to a portable (slower) text hash where they do. The seed is
new for every job: two rows that hash alike by accident do so once, and cannot hide their drift again.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from psycopg import sql

from opsconsole.errors import OutsideDataError
from opsconsole.keys import Key, KeyKind
from opsconsole.postgres import Database, identifier, table_identifier, trusted
from sync.engine.packed import KeyCodec
from sync.engine.packed_walk import Digest
from sync.taskrows import TaskRows

CODECS = {KeyKind.UUID: KeyCodec.UUID, KeyKind.INTEGER: KeyCodec.INTEGER}


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
    HashClass.JSON: "jsonb_hash_extended({v}, {s})",
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


_SEND = {HashClass.UUID: "uuid_send({})", HashClass.INTEGER: "int8send({})"}
KEY_CLASS = {KeyKind.UUID: HashClass.UUID, KeyKind.INTEGER: HashClass.INTEGER}
_EPOCH = datetime(2000, 1, 1)  # noqa: DTZ001  (a timestamp without zone, as the hashed value is)


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
            sql.SQL(_VALUE[hash_class]).format(c=column),
            sql.Literal(_null(hash_class, self.seed)),
            sql.SQL(_NULL_TYPE[hash_class]),
        )
        return sql.SQL(_FUNCTION[hash_class]).format(v=value, s=link)

    @staticmethod
    def _portable(column: sql.Composable, hash_class: HashClass, link: sql.Composable) -> sql.Composed:
        value = sql.SQL(_VALUE[hash_class]).format(c=column)
        text = sql.SQL(_PORTABLE_TEXT.get(hash_class, "{v}::text")).format(v=value)
        return sql.SQL("('x' || substr(md5({}::text || COALESCE('=' || {}, '')), 1, 16))::bit(64)::int8").format(
            link, text
        )

    def samples(self) -> sql.Composed:
        """A query that hashes samples of every class in use, and NULL: what both sides must agree on."""
        hashes = [
            HashRecipe((hash_class,), self.seed, self.portable).expression([sql.SQL(sample)])
            for hash_class in sorted(set(self.classes))
            for sample in (*_SAMPLES[hash_class], f"NULL::{hash_class.value}")
        ]
        return sql.SQL("SELECT ARRAY[{}]").format(sql.SQL(", ").join(hashes))


class PackedTasks:
    """One side's tasks, packed; one query a call, on the connection of `tasks`."""

    def __init__(self, tasks: TaskRows, recipe: HashRecipe) -> None:
        shape = tasks.shape
        self._database = tasks.database
        self._key, self._owner = tasks.keys
        codec_class = KEY_CLASS[shape.id_kind]
        self._codec = CODECS[shape.id_kind]
        aliases = [sql.Identifier(f"c{number}") for number in range(len(shape.values))]
        key = sql.SQL(_VALUE[codec_class]).format(c=sql.Identifier("key"))
        send = sql.SQL(_SEND[codec_class]).format(key)
        self._cell = sql.SQL("{} || int8send({})").format(send, recipe.expression(aliases))
        keyed = HashRecipe((codec_class, *recipe.classes), recipe.seed, recipe.portable)
        self._keyed = keyed.expression([key, *aliases])
        self._rows = self._task_rows(tasks, aliases, sql.Placeholder("organization"))
        self._rows_of_each = self._task_rows(tasks, aliases, sql.SQL("given.key"))

    def _task_rows(
        self, tasks: TaskRows, aliases: Sequence[sql.Identifier], organization: sql.Composable
    ) -> sql.Composed:
        """The tasks of an organization without those marked deleted, up to where a range is to be named."""
        shape = tasks.shape
        columns = [
            sql.SQL("{} AS {}").format(column, alias)
            for column, alias in zip(map(identifier, shape.values), aliases, strict=True)
        ]
        columns.insert(0, sql.SQL("{} AS key").format(self._key.match))
        alive = sql.SQL("({}) IS NOT TRUE").format(trusted(shape.deleted)) if shape.deleted else sql.SQL("true")
        return sql.SQL("SELECT {} FROM {} WHERE {} = {} AND {} AND {}").format(
            sql.SQL(", ").join(columns),
            table_identifier(shape.table),
            self._owner.match,
            organization,
            tasks.condition,
            alive,
        )

    def _range(self, after: Key | None, upto: Key | None, limit: int | None) -> sql.Composed:
        parts: list[sql.Composable] = [self._rows]
        if after is not None:
            parts.append(sql.SQL("AND {} > %(after)s").format(self._key.order))
        if upto is not None:
            parts.append(sql.SQL("AND {} <= %(upto)s").format(self._key.order))
        if limit is not None:
            # Rows come in key order into the aggregate, which then need not sort them itself.
            parts.append(sql.SQL("ORDER BY {} LIMIT %(limit)s").format(self._key.order))
        return sql.SQL(" ").join(parts)

    def _ask(
        self, what: sql.Composable, organization: Key, after: Key | None, upto: Key | None, limit: int | None
    ) -> tuple[Any, ...]:
        query = sql.SQL("SELECT {} FROM ({}) tasks").format(what, self._range(after, upto, limit))
        values = {"organization": self._owner.dump(organization), "limit": limit, "after": after, "upto": upto}
        named: dict[str, object] = {name: value for name, value in values.items() if value is not None}
        return self._database.rows(query, named, binary=True)[0]

    def digest(self, organization: Key, after: Key | None, upto: Key | None, limit: int | None) -> Digest:
        """As `sync.engine.packed_walk.PackedSide.digest`."""
        last = sql.SQL("(array_agg(key))[count(*)]") if limit is not None else sql.SQL("NULL")
        what = sql.SQL("count(*), COALESCE(sum({}), 0), {}").format(self._keyed, last)
        count, total, key = self._ask(what, organization, after, upto, limit)
        return Digest(count, int(total), key)

    def pack(self, organization: Key, after: Key | None, upto: Key | None, limit: int) -> bytes:
        """As `sync.engine.packed_walk.PackedSide.pack`."""
        (packed,) = self._ask(sql.SQL("string_agg({}, ''::bytea)").format(self._cell), organization, after, upto, limit)
        return packed or b""

    def digests(self, organizations: Sequence[Key], most: int) -> dict[Key, Digest]:
        """Of each organization's tasks how many, and the sum of their hashes; no more than `most` of one are read."""
        query = sql.SQL(
            "SELECT given.key, digest.* FROM unnest({}) AS given (key), "
            "LATERAL (SELECT count(*), COALESCE(sum({}), 0) FROM ({} LIMIT %(most)s) tasks) digest"
        ).format(self._owner.given("organizations"), self._keyed, self._rows_of_each)
        values: dict[str, object] = {"organizations": self._owner.array(organizations), "most": most}
        rows = self._database.rows(query, values)
        return {self._owner.load(key): Digest(count, int(total), None) for key, count, total in rows}


@dataclass(frozen=True, slots=True)
class PackedPair:
    """Both sides fit for packed reading; `note` says for a job's log how they hash."""

    source: TaskRows
    index: TaskRows
    recipe: HashRecipe
    note: str

    @property
    def codec(self) -> KeyCodec:
        return CODECS[self.source.shape.id_kind]

    def sides(self) -> tuple[PackedTasks, PackedTasks]:
        """Source and index with a new seed: call it once for each job. No query."""
        recipe = replace(self.recipe, seed=new_seed())
        return PackedTasks(self.source, recipe), PackedTasks(self.index, recipe)


def pack_both(source: TaskRows, index: TaskRows) -> PackedPair | str:
    """Two PostgreSQL sides as a packed pair, or a sentence saying why they cannot be packed. Four to eight queries."""
    if source.shape.id_kind not in CODECS or source.keys[0].as_text or index.keys[0].as_text:
        return "Text keys have no fixed width: both sides are streamed and merged."
    mine, theirs = column_classes(source), column_classes(index)
    for name, one, other in zip(source.shape.values, mine, theirs, strict=True):
        if one is None or one is not other:
            return f"Column {name} has types that no common hash serves: both sides are streamed and merged."
    recipe = HashRecipe(tuple(filter(None, mine)), new_seed())
    note = "Comparing packed chunks, hashed by the servers' own typed functions."
    if not _hash_alike(recipe, source.database, index.database):
        recipe = replace(recipe, portable=True)
        note = "The servers' own hash functions differ: comparing packed chunks with a portable hash, which is slower."
        if not _hash_alike(recipe, source.database, index.database):
            return "The servers hash the same values differently: both sides are streamed and merged."
    return PackedPair(source, index, recipe, note)


def new_seed() -> int:
    return secrets.randbits(62)


def _hash_alike(recipe: HashRecipe, source: Database, index: Database) -> bool:
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
