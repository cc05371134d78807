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

from opsconsole.keys import Key, KeyKind, restore_key
from sync.engine.compare import Judgement, Published, caught_up, judge
from sync.engine.packed import texts_of
from sync.engine.rows import Side
from sync.engine.texts import KEY, TEXT_KINDS, WRITTEN_BY_SERVER, TextRow, TextShape, judge_texts
from sync.packing import PackedPair
from sync.taskrows import TaskRows
from sync.tasktexts import TaskTexts


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
        texts = texts_of(suspects)
        theirs, mine = self._rows(suspects, texts)
        return judge_texts(texts, mine, theirs, shape=self._shape, now=now(), settle=self._settle)

    def _rows(self, keys: Sequence[Key], texts: Sequence[str]) -> tuple[list[TextRow], list[TextRow]]:
        """The index's, read first, and the source's."""
        return self._index.by_keys(keys, texts, self._home), self._source.by_keys(keys, texts, self._home)

    def caught_up(self, published: Sequence[Published]) -> list[int]:
        texts = [one.task_id for one in published]
        theirs, mine = ({row[KEY]: row for row in rows} for rows in self._rows(texts, texts))
        holds = self._shape.caught_up
        return [one.drift_id for one in published if holds(one, mine.get(one.task_id), theirs.get(one.task_id))]
