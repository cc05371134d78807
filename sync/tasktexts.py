"""One side's tasks as the texts that its server writes, which is what the second look by text reads.

A look's rows come as one text for each column, cut where a control character stands that no value holds. To make rows
of them takes a fifth of what it takes to be handed row after row.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import repeat

from psycopg import sql

from opsconsole.keys import Key
from opsconsole.postgres import identifier
from sync.engine.texts import KEY, TextRow, within_datetime
from sync.hashing import HashClass, value_of
from sync.packing import KEY_CLASS
from sync.taskrows import BATCH_KEYS, TaskRows

SEPARATOR = "\x1e"
"""Neither a key nor a number, a time or JSON holds it: JSON writes it as an escape."""

NOTHING = r"\N"
"""NULL, where `null` would be a value or nothing is JSON. No value reads like it."""

_ISO = """CASE WHEN {c} >= '0001-01-01' AND {c} < '10000-01-01'
 THEN to_char({c}, 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"') ELSE {c}::text END"""
_QUOTED_ISO = f"'\"' || {_ISO} || '\"'"
_TEXT = "to_json({c}::text)::text"
_WRITTEN = {
    HashClass.TEXT: _TEXT,
    HashClass.INTEGER: "{c}::text",
    HashClass.BOOLEAN: "{c}::text",
    HashClass.UUID: "'\"' || {c}::text || '\"'",
    HashClass.DATE: "'\"' || {c}::text || '\"'",
    HashClass.INSTANT: _QUOTED_ISO,
    HashClass.TIMESTAMP: _QUOTED_ISO,
}
"""How the server writes a value of each kind as `sync.engine.values.to_json` does, but for NULL. The others come as
their text."""


def _written(hash_class: HashClass, column: sql.Composable) -> sql.Composable:
    known = hash_class in _WRITTEN
    text = sql.SQL(_WRITTEN[hash_class] if known else "({c})::text").format(c=column)
    return _or(text, "null" if known else NOTHING)


def _or(text: sql.Composable, nothing: str) -> sql.Composed:
    return sql.SQL("COALESCE({}, {})").format(text, sql.Literal(nothing))


class TaskTexts:
    """One side's tasks as `TextRow`s, on the connection of `tasks`. `classes` are those of the compared columns."""

    def __init__(self, tasks: TaskRows, classes: Sequence[HashClass]) -> None:
        self._tasks = tasks
        self._shape = shape = tasks.shape
        self._task, self._owner = tasks.keys
        self._written = tuple(one in _WRITTEN for one in classes)
        key = sql.SQL("({})::text").format(value_of(KEY_CLASS[shape.id_kind], self._task.match))
        rest: list[sql.Composable] = []
        if shape.version:
            rest.append(_or(sql.SQL("({})::text").format(identifier(shape.version)), NOTHING))
        self._moment_among = self._place_of_moment(classes)
        self._sends_moment = bool(shape.updated_at) and self._moment_among is None
        if self._sends_moment:
            moment = sql.SQL("({}::timestamptz)").format(identifier(shape.updated_at))
            rest.append(_or(sql.SQL(_ISO).format(c=moment), NOTHING))
        if shape.deleted:
            rest.append(sql.SQL("({})::text").format(tasks.deleted))
        rest += [_written(one, identifier(name)) for one, name in zip(classes, shape.values, strict=True)]
        owner = sql.SQL(_TEXT).format(c=self._owner.match)
        self._query = self._reading([key, owner, *rest])
        self._query_at_home = sql.SQL("{} AND {} = %(home)s").format(self._reading([key, *rest]), self._owner.match)

    def _place_of_moment(self, classes: Sequence[HashClass]) -> int | None:
        """Where among the compared columns the time of update is, as it is sent: writing it costs the server most."""
        for place, (one, name) in enumerate(zip(classes, self._shape.values, strict=True)):
            if name == self._shape.updated_at and one in (HashClass.INSTANT, HashClass.TIMESTAMP):
                return place
        return None

    def _reading(self, columns: Sequence[sql.Composable]) -> sql.Composed:
        joined = sql.SQL(", ").join(
            sql.SQL("string_agg({}, {})").format(column, sql.Literal(SEPARATOR)) for column in columns
        )
        return sql.SQL("SELECT {} FROM {} WHERE {} = ANY({}) AND {}").format(
            joined, self._tasks.table, self._task.match, self._task.given("keys"), self._tasks.condition
        )

    def by_keys(self, keys: Sequence[Key], texts: Sequence[str], home: Key | None = None) -> list[TextRow]:
        """The rows with these keys (`texts` are the same), whatever organization they belong to now; one or two queries
        for each 5,000 keys.

        Nearly all belong to `home`, where the index over organization and key, which the walk needs anyhow, has all
        that is asked for; only for the others the table itself is read.
        """
        rows: list[TextRow] = []
        for start in range(0, len(keys), BATCH_KEYS):
            batch = keys[start : start + BATCH_KEYS]
            if home is not None:
                found = self._at_home(batch, home)
                rows += found
                if len(found) == len(batch):
                    continue
                known = {row[KEY] for row in found}
                batch = [text for text in texts[start : start + BATCH_KEYS] if text not in known]
            rows += self._anywhere(batch)
        return rows

    def _at_home(self, keys: Sequence[Key], home: Key) -> list[TextRow]:
        columns = self._ask(self._query_at_home, keys, home=self._owner.dump(home))
        return self._rows(columns, repeat(str(home), len(columns[0]))) if columns else []

    def _anywhere(self, keys: Sequence[Key]) -> list[TextRow]:
        if not keys:
            return []
        columns = self._ask(self._query, keys)
        return self._rows(columns, map(json.loads, columns.pop(1))) if columns else []

    def _ask(self, query: sql.Composed, keys: Sequence[Key], **values: object) -> list[list[str]]:
        """The columns, each as its values; none where there is no row."""
        (texts,) = self._tasks.database.rows(query, {"keys": self._task.array(keys), **values})
        return [] if texts[0] is None else [text.split(SEPARATOR) for text in texts]

    def _rows(self, columns: Sequence[list[str]], organizations: Iterable[str]) -> list[TextRow]:
        """`columns` are those of `self._query_at_home`."""
        keys, *rest = columns
        others = iter(rest)
        versions = _maybe(next(others)) if self._shape.version else [None] * len(keys)
        moments = _maybe(next(others)) if self._sends_moment else [None] * len(keys)
        deleted = [text == "true" for text in next(others)] if self._shape.deleted else [False] * len(keys)
        values = list(others)
        if self._moment_among is not None:
            moments = [None if text == "null" else text[1:-1] for text in values[self._moment_among]]
        written = [one if known else _maybe(one) for one, known in zip(values, self._written, strict=True)]
        moments = list(map(within_datetime, moments))
        return list(zip(keys, organizations, versions, moments, deleted, zip(*written, strict=True), strict=True))


def _maybe(texts: Sequence[str]) -> Sequence[str | None]:
    return [None if text == NOTHING else text for text in texts] if NOTHING in texts else texts
