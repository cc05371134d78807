"""The second look: suspects read again from both sides and judged, by value or, where both sides allow it, by text.

Either way the index is read first and the source second: what changes in between is then young on the source, and left
alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from psycopg import sql

from opsconsole.keys import Key, KeyKind, restore_key
from opsconsole.postgres import identifier
from sync.engine.compare import Judgement, Published, caught_up, judge
from sync.engine.rows import Side
from sync.engine.texts import TEXT_KINDS, TextRow, TextShape, judge_texts
from sync.hashing import value_of
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


class TaskTexts:
    """One side's tasks as the texts of their columns; one query for each 5,000 keys, on the connection of `tasks`."""

    def __init__(self, tasks: TaskRows) -> None:
        shape = tasks.shape
        task, owner = tasks.keys
        nothing = sql.SQL("NULL")
        key = value_of(KEY_CLASS[shape.id_kind], task.match)
        moment = sql.SQL("{}::timestamptz").format(identifier(shape.updated_at)) if shape.updated_at else nothing
        version = identifier(shape.version) if shape.version else nothing
        values = map(identifier, shape.values)
        texts: list[sql.Composable] = [
            sql.SQL("({})::text").format(column) for column in (key, owner.match, version, moment, *values)
        ]
        texts.insert(len(TextRow._fields) - 2, tasks.deleted)
        self._query = sql.SQL("SELECT {} FROM {} WHERE {} = {} AND {}").format(
            sql.SQL(", ").join(texts), tasks.table, task.match, task.any_of, tasks.condition
        )
        self._tasks = tasks

    def by_keys(self, keys: Sequence[str]) -> list[TextRow]:
        """The rows with these keys, whatever organization they belong to now."""
        rows: list[TextRow] = []
        for start in range(0, len(keys), BATCH_KEYS):
            array = self._tasks.keys[0].array(keys[start : start + BATCH_KEYS])
            for key, owner, version, moment, deleted, *values in self._tasks.database.rows(self._query, (array,)):
                rows.append(TextRow(key, owner, version, moment, deleted, tuple(values)))
        return rows


class ByText:
    """For the two sides of a packed pair, whose compared columns are of one kind each. On the connections of `source`
    and `index`."""

    def __init__(
        self, source: TaskRows, index: TaskRows, pair: PackedPair, names: tuple[str, ...], settle: timedelta
    ) -> None:
        self._source, self._index = TaskTexts(source), TaskTexts(index)
        self._settle = settle
        self._shape = TextShape(
            kinds=tuple(TEXT_KINDS[hash_class.value] for hash_class in pair.recipe.classes),
            names=names,
            organization=source.keys[1].load,
            versions_from_time=(source.shape.version_from_updated_at, index.shape.version_from_updated_at),
        )

    def __call__(self, suspects: Sequence[Key], now: Callable[[], datetime]) -> Judgement:
        texts = [str(key) for key in suspects]
        theirs = self._index.by_keys(texts)
        mine = self._source.by_keys(texts)
        pairs = zip(suspects, texts, strict=True)
        return judge_texts(pairs, mine, theirs, shape=self._shape, now=now(), settle=self._settle)

    def caught_up(self, published: Sequence[Published]) -> list[int]:
        texts = [one.task_id for one in published]
        theirs = {row.key: row for row in self._index.by_keys(texts)}
        mine = {row.key: row for row in self._source.by_keys(texts)}
        holds = self._shape.caught_up
        return [one.drift_id for one in published if holds(one, mine.get(one.task_id), theirs.get(one.task_id))]
