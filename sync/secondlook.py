"""The second look: suspects read again from both sides and judged, by value or, where both sides allow it, by text.

Either way the index is read first and the source second: what changes in between is then young on the source, and left
alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from psycopg import sql

from opsconsole.keys import Key, KeyKind, restore_key
from opsconsole.postgres import identifier
from sync.engine.compare import Judgement, Published, caught_up, judge
from sync.engine.rows import Side
from sync.engine.texts import KEY, TEXT_KINDS, WRITTEN_BY_SERVER, TextRow, TextShape, judge_texts
from sync.hashing import HashClass, value_of
from sync.packing import KEY_CLASS, PackedPair
from sync.taskrows import BATCH_KEYS, TaskRows


class Judge(Protocol):
    """Judges suspects as they are now. `now` gives the present UTC time, and is asked when both sides were read."""

    def __call__(self, suspects: Sequence[Key], now: Callable[[], datetime]) -> Judgement: ...


class SecondLook(Judge, Protocol):
    """Judges suspects, and later says which of those that were published have arrived."""

    def caught_up(self, published: Sequence[Published]) -> list[int]:
        """The drift rows of those published tasks that the index has by now, or something newer."""
        ...


@dataclass(frozen=True, slots=True)
class ByValue:
    """For any two sides. `names` are the compared fields, in the order of `Row.values`."""

    source: Side
    index: Side
    names: tuple[str, ...]
    task_key: KeyKind
    settle: timedelta

    def __call__(self, suspects: Sequence[Key], now: Callable[[], datetime]) -> Judgement:
        theirs = self.index.by_keys(suspects)
        mine = self.source.by_keys(suspects)
        return judge(suspects, mine, theirs, names=self.names, now=now(), settle=self.settle)

    def caught_up(self, published: Sequence[Published]) -> list[int]:
        keys = [restore_key(self.task_key, one.task_id) for one in published]
        theirs, mine = self.index.by_keys(keys), self.source.by_keys(keys)
        pairs = zip(published, keys, strict=True)
        return [one.drift_id for one, key in pairs if caught_up(one, mine.get(key), theirs.get(key))]


_ISO = """CASE WHEN {c} >= '0001-01-01' AND {c} < '10000-01-01'
 THEN to_char({c}, 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"') ELSE {c}::text END"""
_QUOTED_ISO = f"'\"' || {_ISO} || '\"'"
_WRITTEN = {
    HashClass.TEXT: "to_json({c}::text)::text",
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
    if hash_class not in _WRITTEN:
        return sql.SQL("({})::text").format(column)
    return sql.SQL(f"COALESCE({_WRITTEN[hash_class]}, 'null')").format(c=column)


class TaskTexts:
    """One side's tasks as `TextRow`s, on the connection of `tasks`. `classes` are those of the compared columns."""

    def __init__(self, tasks: TaskRows, classes: Sequence[HashClass]) -> None:
        shape = tasks.shape
        task, self._owner = tasks.keys
        nothing = sql.SQL("NULL")
        key = value_of(KEY_CLASS[shape.id_kind], task.match)
        moment = sql.SQL(_ISO).format(c=sql.SQL("({}::timestamptz)").format(identifier(shape.updated_at)))
        texts = [
            sql.SQL("({})::text").format(key),
            sql.SQL("({})::text").format(self._owner.match),
            sql.SQL("({})::text").format(identifier(shape.version)) if shape.version else nothing,
            moment if shape.updated_at else nothing,
            tasks.deleted,
            *(_written(one, identifier(name)) for one, name in zip(classes, shape.values, strict=True)),
        ]
        self._query = sql.SQL("SELECT {} FROM {} WHERE {} = ANY({}) AND {}").format(
            sql.SQL(", ").join(texts), tasks.table, task.match, task.given("keys"), tasks.condition
        )
        self._query_at_home = sql.SQL("{} AND {} = %(home)s").format(self._query, self._owner.match)
        self._tasks = tasks

    def by_keys(self, keys: Sequence[str], home: Key | None = None) -> list[TextRow]:
        """The rows with these keys, whatever organization they belong to now; one or two queries for each 5,000 keys.

        Nearly all belong to `home`, where the index over organization and key, which the walk needs anyhow, has all
        that is asked for; only for the others the table itself is read.
        """
        rows: list[TextRow] = []
        for start in range(0, len(keys), BATCH_KEYS):
            batch = keys[start : start + BATCH_KEYS]
            if home is not None:
                found = self._ask(self._query_at_home, batch, home=self._owner.dump(home))
                rows += found
                known = {row[KEY] for row in found}
                batch = [key for key in batch if key not in known]
            if batch:
                rows += self._ask(self._query, batch)
        return rows

    def _ask(self, query: sql.Composed, keys: Sequence[str], **values: object) -> list[TextRow]:
        return self._tasks.database.rows(query, {"keys": self._tasks.keys[0].array(keys), **values})


class ByText:
    """For the two sides of a packed pair, whose compared columns are of one kind each. On the connections of `source`
    and `index`. `home`: the organization that nearly all suspects belong to, where there is one."""

    def __init__(
        self,
        source: TaskRows,
        index: TaskRows,
        pair: PackedPair,
        names: tuple[str, ...],
        settle: timedelta,
        home: Key | None = None,
    ) -> None:
        classes = pair.recipe.classes
        self._source, self._index = TaskTexts(source, classes), TaskTexts(index, classes)
        self._settle = settle
        self._home = home
        self._shape = TextShape(
            kinds=tuple(TEXT_KINDS.get(one.value, WRITTEN_BY_SERVER) for one in classes),
            names=names,
            organization=source.keys[1].load,
            versions_from_time=(source.shape.version_from_updated_at, index.shape.version_from_updated_at),
        )

    def within(self, home: Key) -> ByText:
        """The same for an organization's suspects. No query."""
        other = copy(self)
        other._home = home  # noqa: SLF001  (it is one of these)
        return other

    def __call__(self, suspects: Sequence[Key], now: Callable[[], datetime]) -> Judgement:
        texts = [str(key) for key in suspects]
        theirs, mine = self._rows(texts)
        pairs = zip(suspects, texts, strict=True)
        return judge_texts(pairs, mine, theirs, shape=self._shape, now=now(), settle=self._settle)

    def _rows(self, texts: Sequence[str]) -> tuple[list[TextRow], list[TextRow]]:
        """The index's, read first, and the source's."""
        return self._index.by_keys(texts, self._home), self._source.by_keys(texts, self._home)

    def caught_up(self, published: Sequence[Published]) -> list[int]:
        theirs, mine = ({row[KEY]: row for row in rows} for rows in self._rows([one.task_id for one in published]))
        holds = self._shape.caught_up
        return [one.drift_id for one in published if holds(one, mine.get(one.task_id), theirs.get(one.task_id))]
