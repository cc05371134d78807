"""Deciding whether one task differs between source and index, and whether that counts as drift yet.

A difference counts only when it was seen twice and has settled: the source's row is older than the settle time, so its
message has had that long to arrive. Read the index first and the source second for the look that judges: whatever
changes in between is then young on the source and is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple

from sync.engine.rows import DriftKind, Finding, Key, Row
from sync.engine.values import agree
from sync.engine.written import state_of

ORGANIZATION_FIELD = "organization"


class Step(Enum):
    """What could not be done with a task that is set aside."""

    COMPARE = "compare"
    PUBLISH = "publish"

    @property
    def label(self) -> str:
        return {"compare": "Compare", "publish": "Publish"}[self.value]


@dataclass(frozen=True, slots=True)
class TaskError:
    """A task that is set aside: what could not be done with it, and what was said of it."""

    key: Key
    step: Step
    sentence: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a second look says. `unsettled` counts differences too young to be judged; `failed` are tasks that could not
    be looked at."""

    findings: tuple[Finding, ...]
    unsettled: int
    failed: tuple[TaskError, ...] = ()

    def joined(self, other: Judgement) -> Judgement:
        return Judgement(self.findings + other.findings, self.unsettled + other.unsettled, self.failed + other.failed)


class Published(NamedTuple):
    """A task that was published: its drift row, its key as text, and the version that the source had then."""

    drift_id: int
    task_id: str
    version: int | None


def caught_up(published: Published, source: Row | None, index: Row | None) -> bool:
    """Whether the index has what was published, or something newer because the task went on changing."""
    if drift_kind(source, index) is None:
        return True
    alive = source is not None and not source.deleted
    return alive and index is not None and is_newer(index.version, published)


def is_newer(version: int | None, published: Published) -> bool:
    """Whether the index's version is the published one or a later one; never where either is not known."""
    return version is not None and published.version is not None and version >= published.version


def drift_kind(source: Row | None, index: Row | None) -> DriftKind | None:
    """How the index is wrong about one task, or None where it is right. A deleted source row must not be indexed."""
    kind = presence_kind(source, index)
    if kind is not None or source is None or source.deleted or index is None:
        return kind
    return None if same_task(source, index) else DriftKind.STALE


def presence_kind(source: Row | None, index: Row | None) -> DriftKind | None:
    """What is wrong already by one side having the task and the other not; None where nothing is, so far."""
    if source is None or source.deleted:
        return None if index is None else DriftKind.ORPHAN
    return DriftKind.MISSING if index is None else None


def same_task(source: Row, index: Row) -> bool:
    if source.values == index.values and source.organization == index.organization:
        return True  # nearly always; the typed comparison below is many times slower
    if len(source.values) != len(index.values):
        raise ValueError(f"source has {len(source.values)} compared values and the index {len(index.values)}")
    return agree(source.organization, index.organization) and all(map(agree, source.values, index.values))


def differing_fields(source: Row, index: Row, names: Sequence[str]) -> tuple[str, ...]:
    fields = [
        name for name, mine, theirs in zip(names, source.values, index.values, strict=True) if not agree(mine, theirs)
    ]
    if not agree(source.organization, index.organization):
        fields.append(ORGANIZATION_FIELD)
    return tuple(fields)


def judge(
    suspects: Sequence[Key],
    source: Mapping[Key, Row],
    index: Mapping[Key, Row],
    *,
    names: Sequence[str],
    now: datetime,
    settle: timedelta,
) -> Judgement:
    """The second look: which suspects are drift. `names` are the compared fields, in the order of `Row.values`."""
    findings: list[Finding] = []
    unsettled = 0
    for key in suspects:
        mine, theirs = source.get(key), index.get(key)
        fields: tuple[str, ...] = ()
        kind = presence_kind(mine, theirs)
        if kind is None and mine and theirs and not mine.deleted and (fields := differing_fields(mine, theirs, names)):
            kind = DriftKind.STALE
        if kind is None:
            continue
        if mine is not None and not has_settled(mine, now, settle):
            unsettled += 1
            continue
        source_state, index_state = (None if row is None else state_of(row, names) for row in (mine, theirs))
        findings.append(Finding(str(key), kind, source_state, index_state, fields))
    return Judgement(tuple(findings), unsettled)


def has_settled(source: Row, now: datetime, settle: timedelta) -> bool:
    return source.updated_at is None or source.updated_at <= now - settle
