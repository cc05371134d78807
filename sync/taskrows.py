"""Tasks in a PostgreSQL table, as rows of the engine: what the source and the `postgres` index have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

from psycopg import sql

from opsconsole.arrays import BinaryArray
from opsconsole.errors import OutsideDataError
from opsconsole.estate.model import TableName
from opsconsole.keys import Key, KeyKind
from opsconsole.postgres import Database, as_datetime, identifier, table_identifier, trusted
from opsconsole.times import Window
from sync.engine.packed import KeyCodec, PackedKeys
from sync.engine.rows import Row

TEXT_OIDS = frozenset({25, 1043})  # text, varchar: comparable without a cast
INTEGER_OIDS = frozenset({20, 21, 23, 1700})  # bigint, smallint, integer, numeric
UUID_OID = 2950
BIGINT_OID = 20

BATCH_KEYS = 5_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970, exact (a float of seconds is not)."""
    return (moment - EPOCH) // MICROSECOND


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """A column of keys: how it is matched, ordered, and carried to and from the server.

    Order is the engine's (`opsconsole.keys`): text by its bytes, whatever collation the column has.
    """

    kind: KeyKind
    match: sql.Composable
    order: sql.Composable
    as_text: bool

    @classmethod
    def of(cls, name: str, kind: KeyKind, type_oid: int) -> KeyColumn:
        """Raises OutsideDataError where a column of this type cannot hold keys of `kind` in the right order."""
        column = identifier(name)
        natural = {KeyKind.UUID: {UUID_OID}, KeyKind.INTEGER: INTEGER_OIDS, KeyKind.TEXT: TEXT_OIDS}[kind]
        if type_oid in natural and kind is not KeyKind.TEXT:
            return cls(kind, column, column, as_text=False)
        if kind is KeyKind.INTEGER or (kind is KeyKind.UUID and type_oid in INTEGER_OIDS):
            raise OutsideDataError(f"Column {name} is of another type than the estate's id_type = {kind.value!r} says.")
        # UUIDs kept as text, or text keys in a domain, enum, citext or char(n): cast them, unless they are plain text.
        text = column if type_oid in TEXT_OIDS else sql.SQL("{}::text").format(column)
        return cls(kind, text, sql.SQL('{} COLLATE "C"').format(text), as_text=True)

    def dump(self, key: Key) -> Key:
        return str(key) if self.as_text else key

    @property
    def any_of(self) -> sql.SQL:
        """What a column is compared with to be one of the keys of `array`."""
        return sql.SQL(f"ANY(%s::{self._array_type})")

    def given(self, name: str) -> sql.SQL:
        """The keys of `array`, given as the parameter `name`."""
        return sql.SQL(f"%({name})s::{self._array_type}")

    @property
    def _array_type(self) -> str:
        types = {KeyKind.UUID: "uuid[]", KeyKind.INTEGER: "int8[]", KeyKind.TEXT: "text[]"}
        return "text[]" if self.as_text else types[self.kind]

    def array(self, keys: Sequence[Key]) -> object:
        """Many keys as one parameter. UUIDs and integers need no quoting and go as one text: adapting them one by one
        would cost more than reading their rows. Packed ones go as they are."""
        if isinstance(keys, PackedKeys) and not self.as_text:
            return BinaryArray(UUID_OID if keys.codec is KeyCodec.UUID else BIGINT_OID, keys.raw)
        if self.kind is KeyKind.TEXT or self.as_text:
            return [str(key) for key in keys]
        return "{" + ",".join(map(str, keys)) + "}"

    def load(self, value: object) -> Key:
        """Raises OutsideDataError for a value that is no key of this kind."""
        try:
            match self.kind:
                case KeyKind.UUID:
                    return value if isinstance(value, UUID) else UUID(str(value))
                case KeyKind.INTEGER:
                    return int(str(value))
                case KeyKind.TEXT:
                    return str(value)
        except ValueError:
            raise OutsideDataError(f"{value!r} is no key of the kind {self.kind.value}.") from None


@dataclass(frozen=True, slots=True)
class TaskShape:
    """Where a store keeps tasks: names of its own, in the estate's order of compared columns."""

    table: TableName
    id: str
    organization: str
    values: tuple[str, ...]
    id_kind: KeyKind
    organization_kind: KeyKind
    version: str = ""
    updated_at: str = ""
    deleted: str = ""
    where: str = ""
    version_from_updated_at: bool = False


def window_values(window: Window | None) -> dict[str, object]:
    """The parameters that `TaskRows.updated_in` names."""
    return {} if window is None else {"start": window.start, "end": window.end}


class TaskRows:
    """Reads tasks of one table through `database`. The types of its key columns are asked once, with the first read."""

    def __init__(self, database: Database, shape: TaskShape) -> None:
        self.database = database
        self.shape = shape
        self.table = table_identifier(shape.table)

    @cached_property
    def keys(self) -> tuple[KeyColumn, KeyColumn]:
        """The columns of the task's and of the organization's key."""
        shape = self.shape
        query = sql.SQL("SELECT {}, {} FROM {} LIMIT 0").format(
            identifier(shape.id), identifier(shape.organization), self.table
        )
        task, organization = self.database.columns(query)
        return (
            KeyColumn.of(shape.id, shape.id_kind, task.type_code),
            KeyColumn.of(shape.organization, shape.organization_kind, organization.type_code),
        )

    @cached_property
    def condition(self) -> sql.Composable:
        """The estate's `where`, always something that AND can follow."""
        return sql.SQL("({})").format(trusted(self.shape.where)) if self.shape.where else sql.SQL("true")

    @cached_property
    def deleted(self) -> sql.Composable:
        """Whether a row is no task any more, never NULL."""
        condition = self.shape.deleted
        return sql.SQL("COALESCE(({}), false)").format(trusted(condition)) if condition else sql.SQL("false")

    def updated_in(self, window: Window | None) -> sql.Composable:
        """The condition that a row was updated in `window`; its values are `window_values`."""
        if window is None:
            return sql.SQL("true")
        return sql.SQL("{0} >= %(start)s AND {0} < %(end)s").format(identifier(self.shape.updated_at))

    @cached_property
    def _select(self) -> sql.Composed:
        shape, (task, organization) = self.shape, self.keys
        nothing = sql.SQL("NULL")
        expressions = [
            task.match,
            organization.match,
            identifier(shape.version) if shape.version else nothing,
            identifier(shape.updated_at) if shape.updated_at else nothing,
            self.deleted,
            *(identifier(name) for name in shape.values),
        ]
        return sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(expressions), self.table)

    def page(self, organization: Key, after: Key | None, limit: int, window: Window | None = None) -> list[Row]:
        """As `sync.engine.rows.Side.page`, where given only rows updated in `window`; one query."""
        task, owner = self.keys
        query = sql.SQL("{} WHERE {} = %(organization)s AND {} AND {} AND {} ORDER BY {} LIMIT %(limit)s").format(
            self._select,
            owner.match,
            self.condition,
            self.updated_in(window),
            sql.SQL("true") if after is None else sql.SQL("{} > %(after)s").format(task.order),
            task.order,
        )
        values: dict[str, object] = {"organization": owner.dump(organization), "limit": limit}
        values |= window_values(window)
        if after is not None:
            values["after"] = task.dump(after)
        return [self._row(values) for values in self.database.rows(query, values)]

    def task_keys(self, organization: Key, after: Key | None, limit: int, *, window: Window | None = None) -> list[Key]:
        """The keys alone of a page, in order, tasks marked deleted among them; one query that reads no value."""
        task, owner = self.keys
        query = sql.SQL(
            "SELECT {} FROM {} WHERE {} = %(organization)s AND {} AND {} AND {} ORDER BY {} LIMIT %(limit)s"
        )
        values: dict[str, object] = {"organization": owner.dump(organization), "limit": limit, **window_values(window)}
        if after is not None:
            values["after"] = task.dump(after)
        behind = sql.SQL("true") if after is None else sql.SQL("{} > %(after)s").format(task.order)
        query_of_page = query.format(
            task.match, self.table, owner.match, self.condition, self.updated_in(window), behind, task.order
        )
        return [task.load(key) for (key,) in self.database.rows(query_of_page, values)]

    def having(self, column: str, value: str, limit: int) -> list[Row]:
        """The first rows, by key, whose `column` reads `value`: at most `limit`. One query."""
        task, _ = self.keys
        query = sql.SQL("{} WHERE {}::text = %(value)s AND {} ORDER BY {} LIMIT %(limit)s").format(
            self._select, identifier(column), self.condition, task.order
        )
        return [self._row(values) for values in self.database.rows(query, {"value": value, "limit": limit})]

    def by_keys(self, keys: Sequence[Key]) -> dict[Key, Row]:
        """As `sync.engine.rows.Side.by_keys`; one query for each 5,000 keys."""
        task, _ = self.keys
        query = sql.SQL("{} WHERE {} = {} AND {}").format(self._select, task.match, task.any_of, self.condition)
        found: dict[Key, Row] = {}
        for start in range(0, len(keys), BATCH_KEYS):
            batch = task.array(keys[start : start + BATCH_KEYS])
            for values in self.database.rows(query, (batch,)):
                row = self._row(values)
                found[row.key] = row
        return found

    def _row(self, values: tuple[Any, ...]) -> Row:
        task, owner = self.keys
        key, organization, version, moment, deleted, *compared = values
        updated_at = as_datetime(moment)
        if version is None and updated_at is not None and self.shape.version_from_updated_at:
            version = microseconds(updated_at)
        return Row(
            key=task.load(key),
            organization=owner.load(organization),
            values=tuple(compared),
            version=None if version is None else int(version),
            updated_at=updated_at,
            deleted=deleted,
        )
