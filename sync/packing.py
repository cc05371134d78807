"""Packing a key range on the server: each PostgreSQL side answers with one byte string, or with a count and a sum.

A cell is the key in its fixed-width binary form and an 8-byte hash of the compared fields (`sync.hashing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from psycopg import sql

from opsconsole.keys import Key, KeyKind
from opsconsole.postgres import identifier, table_identifier, trusted
from sync.engine.packed import KeyCodec
from sync.engine.packed_walk import Digest
from sync.hashing import HashClass, HashRecipe, column_classes, hash_alike, new_seed, value_of
from sync.taskrows import TaskRows

_SEND = {HashClass.UUID: "uuid_send({})", HashClass.INTEGER: "int8send({})"}
KEY_CLASS = {KeyKind.UUID: HashClass.UUID, KeyKind.INTEGER: HashClass.INTEGER}
CODECS = {KeyKind.UUID: KeyCodec.UUID, KeyKind.INTEGER: KeyCodec.INTEGER}


class PackedTasks:
    """One side's tasks, packed; one query a call, on the connection of `tasks`."""

    def __init__(self, tasks: TaskRows, recipe: HashRecipe) -> None:
        shape = tasks.shape
        self._database = tasks.database
        self._key, self._owner = tasks.keys
        codec_class = KEY_CLASS[shape.id_kind]
        self._codec = CODECS[shape.id_kind]
        aliases = [sql.Identifier(f"c{number}") for number in range(len(shape.values))]
        key = value_of(codec_class, sql.Identifier("key"))
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
            # A subquery, for the planner not to know the value. Of two UUIDs that are near each other it expects one
            # row between them, in whatever index: and then reads the tasks of all organizations there, by their key.
            parts.append(sql.SQL("AND {} <= (SELECT %(upto)s)").format(self._key.order))
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
    if not hash_alike(recipe, source.database, index.database):
        recipe = replace(recipe, portable=True)
        note = "The servers' own hash functions differ: comparing packed chunks with a portable hash, which is slower."
        if not hash_alike(recipe, source.database, index.database):
            return "The servers hash the same values differently: both sides are streamed and merged."
    return PackedPair(source, index, recipe, note)
