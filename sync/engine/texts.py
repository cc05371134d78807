"""The second look by what PostgreSQL writes for values, where both sides have columns of one kind.

Making Python values of every suspect costs many times what comparing costs. Here a row stays the texts that the server
sent, most of them JSON already: equal texts are equal values, and most kinds' values differ where their texts do. What
is found and written is what `sync.engine.compare.judge` finds and writes by value.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property, lru_cache
from itertools import compress
from operator import ne
from typing import Any, TypeAlias

from sync.engine.compare import ORGANIZATION_FIELD, Judgement, Published, is_newer
from sync.engine.rows import DriftKind, Finding, Key, State
from sync.engine.values import agree, to_json
from sync.engine.written import dumps

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
DATE_END = len("2026-03-08")
LATEST, EARLIEST = (
    str(to_json(moment)) for moment in (datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC))
)
WRITTEN_LATELY = 256

TextRow: TypeAlias = tuple[Any, ...]
"""One task as its server wrote it: key, organization, version (or None), time of update (or None), whether deleted, and
the tuple of the compared values, each as its `TextKind` says.

A time is ISO 8601 in UTC with microseconds, as `to_json` writes it. A plain tuple: they come by the hundred thousand.
"""

KEY, ORGANIZATION, VERSION, UPDATED_AT, DELETED, VALUES = range(6)


@dataclass(frozen=True, slots=True)
class TextKind:
    """A kind of column. Without `write` the server sends its JSON, NULL as `null`; with it, its text or None, which
    `write` makes JSON. `same`: whether two texts that differ mean the same."""

    write: Callable[[str], str] | None = None
    same: Callable[[str, str], bool] | None = None


def _number(text: str) -> str:
    return f'"{Decimal(text)}"'


def _float(text: str) -> str:
    value = float(text)
    return repr(value) if math.isfinite(value) else f'"{text}"'


def _same_json(mine: str, theirs: str) -> bool:
    return agree(json.loads(mine), json.loads(theirs))


WRITTEN_BY_SERVER = TextKind()
TEXT_KINDS = {
    "numeric": TextKind(_number, lambda mine, theirs: Decimal(mine) == Decimal(theirs)),
    "float": TextKind(_float, lambda mine, theirs: float(mine) == float(theirs)),
    "json": TextKind(lambda text: dumps(to_json(json.loads(text))), _same_json),
}
"""The kinds that the server does not write as `to_json` does. All others are `WRITTEN_BY_SERVER`."""


@dataclass(frozen=True)
class TextShape:
    """What both sides' rows mean. `kinds` and `names` are the compared columns', in order; `organization` makes the key
    of an organization's text. `versions_from_time`: whether the source's and the index's version are the microseconds
    of `updated_at` where they have none."""

    kinds: tuple[TextKind, ...]
    names: tuple[str, ...]
    organization: Callable[[str], Key]
    versions_from_time: tuple[bool, bool]

    @cached_property
    def _template(self) -> str:
        """The inside of the JSON object of the fields, with room for their values."""
        return ",".join(f"{dumps(name)}:".replace("%", "%%") + "%s" for name in self.names)

    @cached_property
    def _to_write(self) -> tuple[tuple[int, Callable[[str], str]], ...]:
        return tuple((place, kind.write) for place, kind in enumerate(self.kinds) if kind.write)

    @cached_property
    def _may_mean_the_same(self) -> bool:
        return any(kind.same for kind in self.kinds)

    @cached_property
    def written_organization(self) -> Callable[[str], str]:
        """Nearly always the same one."""
        return lru_cache(WRITTEN_LATELY)(lambda text: dumps(to_json(self.organization(text))))

    def differing(self, mine: TextRow, theirs: TextRow) -> tuple[str, ...]:
        """Names of the compared fields that differ."""
        fields: tuple[str, ...] = ()
        values, others = mine[VALUES], theirs[VALUES]
        if values != others:
            fields = tuple(compress(self.names, map(ne, values, others)))
            if self._may_mean_the_same:
                fields = self._really_differing(fields, values, others)
        if mine[ORGANIZATION] != theirs[ORGANIZATION] and not agree(
            self.organization(mine[ORGANIZATION]), self.organization(theirs[ORGANIZATION])
        ):
            fields = (*fields, ORGANIZATION_FIELD)
        return fields

    def _really_differing(self, fields: Sequence[str], values: TextRow, others: TextRow) -> tuple[str, ...]:
        """Those of the fields whose texts differ that do not mean the same all the same."""
        compared = zip(self.names, self.kinds, values, others, strict=True)
        return tuple(
            name
            for name, kind, one, other in compared
            if name in fields and not (one and other and kind.same and kind.same(one, other))
        )

    def caught_up(self, published: Published, mine: TextRow | None, theirs: TextRow | None) -> bool:
        """As `sync.engine.compare.caught_up`."""
        if mine is None or mine[DELETED]:
            return theirs is None
        if theirs is None:
            return False
        return not self.differing(mine, theirs) or is_newer(
            self._version(theirs, self.versions_from_time[1]), published
        )

    @cached_property
    def source_state(self) -> Callable[[TextRow], State]:
        return self._writer(self.versions_from_time[0])

    @cached_property
    def index_state(self) -> Callable[[TextRow], State]:
        return self._writer(self.versions_from_time[1])

    def _writer(self, version_from_time: bool) -> Callable[[TextRow], State]:
        """What makes a row a State. A closure, since it is called for every row that is found."""
        template, to_write = self._template, bool(self._to_write)
        written_organization, version_of = self.written_organization, self._version

        def state(row: TextRow) -> State:
            _, organization, version, moment, deleted, values = row
            if to_write:
                values = self._written(values)
            number = int(version) if version and version.isdigit() else version_of(row, version_from_time)
            return State(template % values, written_organization(organization), number, moment, deleted)

        return state

    def _written(self, values: TextRow) -> TextRow:
        written = list(values)
        for place, write in self._to_write:
            written[place] = "null" if values[place] is None else write(values[place])
        return tuple(written)

    @staticmethod
    def _version(row: TextRow, from_time: bool) -> int | None:
        if row[VERSION] is not None:
            return whole_number(row[VERSION])
        moment = row[UPDATED_AT]
        if moment is None or not from_time:
            return None
        return (datetime.fromisoformat(moment) - EPOCH) // MICROSECOND


def whole_number(text: str) -> int:
    """A version, which may be kept as a numeric."""
    return int(text) if text.isdigit() else int(Decimal(text))


def within_datetime(moment: str | None) -> str | None:
    """A row's time of update, as its server writes it, as ISO 8601; what Python does not hold becomes the latest or the
    earliest that it does."""
    if moment is None or moment[DATE_END : DATE_END + 1] == "T":
        return moment
    return EARLIEST if moment.startswith("-") or moment.endswith("BC") else LATEST


def judge_texts(
    suspects: Iterable[str],
    source: Sequence[TextRow],
    index: Sequence[TextRow],
    *,
    shape: TextShape,
    now: datetime,
    settle: timedelta,
) -> Judgement:
    """As `sync.engine.compare.judge`; `suspects` are keys as texts, as the rows have them."""
    mine_of, theirs_of = ({row[KEY]: row for row in rows} for rows in (source, index))
    bound = str(to_json(now - settle))  # such texts sort as their times
    findings: list[Finding] = []
    unsettled = 0
    for text in suspects:
        mine, theirs = mine_of.get(text), theirs_of.get(text)
        fields: tuple[str, ...] = ()
        if mine is None or mine[DELETED]:
            if theirs is None:
                continue
            kind = DriftKind.ORPHAN
        elif theirs is None:
            kind = DriftKind.MISSING
        elif fields := shape.differing(mine, theirs):
            kind = DriftKind.STALE
        else:
            continue
        if mine is not None and (mine[UPDATED_AT] or bound) > bound:
            unsettled += 1
            continue
        source_state = None if mine is None else shape.source_state(mine)
        index_state = None if theirs is None else shape.index_state(theirs)
        findings.append(Finding(text, kind, source_state, index_state, fields))
    return Judgement(tuple(findings), unsettled)
