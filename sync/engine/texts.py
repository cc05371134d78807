"""The second look by the texts that PostgreSQL writes for values, where both sides have columns of one kind.

Making Python values of every suspect costs many times what comparing costs. Here a row stays the texts that the server
sent: equal texts are equal values, most kinds' values differ where their texts do, and JSON is written from the texts
of those that are drift. What is found and written is what `sync.engine.compare.judge` finds and writes by value.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property, lru_cache, partial
from typing import NamedTuple, TypeAlias

from sync.engine.compare import ORGANIZATION_FIELD, Judgement, Published, is_newer
from sync.engine.rows import DriftKind, Finding, Key, State
from sync.engine.values import agree, to_json
from sync.engine.written import dumps

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
ZONE = "+00"
WHOLE_SECONDS = len("2026-03-08 01:30:00")
LATEST, EARLIEST = (
    str(to_json(moment)) for moment in (datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC))
)

WRITTEN_LATELY = 256
"""Written values that are kept, of each column: enough for the statuses there are, and for both sides of a task."""

Text: TypeAlias = str | None
"""What the server writes for a value; None for NULL."""


class TextRow(NamedTuple):
    """One task: key, organization, version and time of update (with zone) as texts, and the compared values' texts."""

    key: str
    organization: str
    version: Text
    updated_at: Text
    deleted: bool
    values: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class TextKind:
    """How a kind of column goes from the server's text to JSON, and whether two texts that differ mean the same."""

    write: Callable[[str], str]
    same: Callable[[str, str], bool] | None = None


def _quoted(text: str) -> str:
    return f'"{text}"'


def _number(text: str) -> str:
    return _quoted(str(Decimal(text)))


def _float(text: str) -> str:
    value = float(text)
    return repr(value) if math.isfinite(value) else _quoted(text)


def _moment(text: str) -> str:
    return _quoted(iso_moment(text) or text)


def _same_json(mine: str, theirs: str) -> bool:
    return agree(json.loads(mine), json.loads(theirs))


TEXT_KINDS = {
    "text": TextKind(dumps),
    "integer": TextKind(str),
    "numeric": TextKind(_number, lambda mine, theirs: Decimal(mine) == Decimal(theirs)),
    "float": TextKind(_float, lambda mine, theirs: float(mine) == float(theirs)),
    "boolean": TextKind({"true": "true", "false": "false"}.__getitem__),
    "uuid": TextKind(_quoted),
    "timestamptz": TextKind(_moment),
    "timestamp": TextKind(_moment),
    "date": TextKind(_quoted),
    "json": TextKind(lambda text: dumps(to_json(json.loads(text))), _same_json),
}


@lru_cache(WRITTEN_LATELY)  # the time of update is written up to four times, by itself and as a field, on both sides
def iso_moment(text: str) -> str | None:
    """PostgreSQL's text of a timestamp in UTC, with or without its zone, as ISO 8601 with microseconds and +00:00. None
    for what Python's datetime does not hold: `infinity`, years beyond 9999 or before Christ."""
    if not has_four_digit_year(text):
        return None
    body = text.removesuffix(ZONE)
    return f"{body[:10]}T{body[11:WHOLE_SECONDS]}.{body[WHOLE_SECONDS + 1 :]:0<6}+00:00"


def has_four_digit_year(text: str) -> bool:
    return text[4:5] == "-" and not text.endswith("BC")


def _field(head: str, kind: TextKind, text: Text) -> str:
    return head + ("null" if text is None else kind.write(text))


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
    def fields(self) -> tuple[Callable[[Text], str], ...]:
        """For each compared column what writes it, name and all. Both sides of a task mostly have the same values, and
        many tasks the same status: what was written lately is at hand."""
        return tuple(
            lru_cache(WRITTEN_LATELY)(partial(_field, f"{dumps(name)}:", kind))
            for name, kind in zip(self.names, self.kinds, strict=True)
        )

    @cached_property
    def written_organization(self) -> Callable[[str], str]:
        """Nearly always the same one."""
        return lru_cache(WRITTEN_LATELY)(lambda text: dumps(to_json(self.organization(text))))

    def differing(self, mine: TextRow, theirs: TextRow) -> tuple[str, ...]:
        """Names of the compared fields that differ."""
        fields = [
            name
            for name, kind, one, other in zip(self.names, self.kinds, mine.values, theirs.values, strict=True)
            if one != other and not (one and other and kind.same and kind.same(one, other))
        ]
        if mine.organization != theirs.organization and not agree(
            self.organization(mine.organization), self.organization(theirs.organization)
        ):
            fields.append(ORGANIZATION_FIELD)
        return tuple(fields)

    def caught_up(self, published: Published, mine: TextRow | None, theirs: TextRow | None) -> bool:
        """As `sync.engine.compare.caught_up`."""
        if mine is None or mine.deleted:
            return theirs is None
        if theirs is None:
            return False
        return not self.differing(mine, theirs) or is_newer(
            self._version(theirs, self.versions_from_time[1]), published
        )

    def source_state(self, row: TextRow) -> State:
        return self._state(row, self.versions_from_time[0])

    def index_state(self, row: TextRow) -> State:
        return self._state(row, self.versions_from_time[1])

    def _state(self, row: TextRow, version_from_time: bool) -> State:
        fields = ",".join([write(text) for write, text in zip(self.fields, row.values, strict=True)])
        moment = None if row.updated_at is None else _updated_at(row.updated_at)
        version = self._version(row, version_from_time)
        return State(fields, self.written_organization(row.organization), version, moment, row.deleted)

    @staticmethod
    def _version(row: TextRow, from_time: bool) -> int | None:
        if row.version is not None:
            return whole_number(row.version)
        if row.updated_at is None or not from_time:
            return None
        return (datetime.fromisoformat(_updated_at(row.updated_at)) - EPOCH) // MICROSECOND


def whole_number(text: str) -> int:
    """A version, which may be kept as a numeric."""
    return int(text) if text.isdigit() else int(Decimal(text))


def _updated_at(text: str) -> str:
    """As ISO 8601; what Python does not hold becomes the latest or the earliest time that it does."""
    return iso_moment(text) or (EARLIEST if text.startswith("-") or text.endswith("BC") else LATEST)


def has_settled(updated_at: Text, bound: str) -> bool:
    """Whether a row was updated at `bound` (as `settled_bound` gives it) or before. Such texts sort as their times."""
    if updated_at is None:
        return True
    if not has_four_digit_year(updated_at):
        return _updated_at(updated_at) == EARLIEST
    return updated_at.removesuffix(ZONE) <= bound


def settled_bound(now: datetime, settle: timedelta) -> str:
    return (now - settle).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def judge_texts(
    suspects: Iterable[tuple[Key, str]],
    source: Sequence[TextRow],
    index: Sequence[TextRow],
    *,
    shape: TextShape,
    now: datetime,
    settle: timedelta,
) -> Judgement:
    """As `sync.engine.compare.judge`; `suspects` are keys, each with its text as the rows have it."""
    mine_of, theirs_of = ({row[0]: row for row in rows} for rows in (source, index))
    bound = settled_bound(now, settle)
    findings: list[Finding] = []
    unsettled = 0
    for key, text in suspects:
        mine, theirs = mine_of.get(text), theirs_of.get(text)
        fields: tuple[str, ...] = ()
        if mine is None or mine.deleted:
            if theirs is None:
                continue
            kind = DriftKind.ORPHAN
        elif theirs is None:
            kind = DriftKind.MISSING
        elif fields := shape.differing(mine, theirs):
            kind = DriftKind.STALE
        else:
            continue
        if mine is not None and not has_settled(mine.updated_at, bound):
            unsettled += 1
            continue
        source_state = None if mine is None else shape.source_state(mine)
        index_state = None if theirs is None else shape.index_state(theirs)
        findings.append(Finding(key, text, kind, source_state, index_state, fields))
    return Judgement(tuple(findings), unsettled)
