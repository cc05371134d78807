"""Old rows are cleared away: what is kept for how long, declared by each part, and the pass over all of it.

A pass is made of small steps. Each is a transaction of its own, over a bounded number of rows in the order of their
keys, so it holds no lock for long and may be killed anywhere: the next pass goes on with what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction

from opsconsole import audit

ROWS_PER_STEP = 5_000
"""A few tens of milliseconds for PostgreSQL: nobody waits for a row that a step has locked."""

COUNT = """
    INSERT INTO opsconsole_prunecount AS kept (what, rows) VALUES (%s, %s)
    ON CONFLICT (what) DO UPDATE SET rows = kept.rows + excluded.rows
"""
TAKE_COUNTS = "DELETE FROM opsconsole_prunecount RETURNING what, rows"

Pointers = Callable[[], Iterable[tuple[str, int]]]


@dataclass(frozen=True, slots=True)
class Portion:
    """What one step removed: rows by what they are. The next one goes on behind the key `after`; None: that was all."""

    removed: Mapping[str, int]
    after: int | None


@dataclass(frozen=True, slots=True)
class Bounds:
    """What ended before this moment is old. `kept` are keys, by kind, that something open still points to."""

    before: datetime
    kept: Mapping[str, Collection[int]] = field(default_factory=dict)

    def kept_of(self, name: str) -> Collection[int]:
        return self.kept.get(name, ())


Step = Callable[[Bounds, int], Portion]
"""Removes at most some thousand old rows behind a key (0: from the first one on)."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Rows that are kept for the days of `setting`; without one, for as long as they are of use."""

    name: str
    summary: str
    setting: str
    step: Step

    @property
    def days(self) -> int | None:
        """None: there is no setting. 0: for ever."""
        return getattr(settings, self.setting) if self.setting else None


@dataclass(frozen=True, slots=True)
class Pruned:
    """`removed` are rows by what they are, those of an earlier pass that was killed among them; `whole`: nothing that
    is old is left, as far as this pass could see."""

    removed: Mapping[str, int]
    whole: bool

    def sentence(self) -> str:
        said = ", ".join(f"{what} {rows:,}" for what, rows in sorted(self.removed.items()))
        return f"Removed: {said}." if said else "Nothing was old enough to be removed."


_kinds: dict[str, Kind] = {}
_pointers: list[Pointers] = []


def kind(name: str, summary: str, setting: str = "") -> Callable[[Step], Step]:
    """Declares a function as the step that removes old rows of this kind. They are gone through in this order."""

    def register(step: Step) -> Step:
        _kinds[name] = Kind(name, summary, setting, step)
        return step

    return register


def kinds() -> Sequence[Kind]:
    return tuple(_kinds.values())


def points(pointers: Pointers) -> Pointers:
    """Declares a function that names, as (kind, key), rows that are kept however old they are."""
    _pointers.append(pointers)
    return pointers


def prune(
    actor: audit.Actor, reason: str, now: datetime, *, say: Callable[[str], object], stop: Callable[[], bool]
) -> Pruned:
    """Remove what is old, until nothing is left or `stop` says so. `say` is told of each kind that lost rows.

    Commits; must not be called inside a transaction. Two passes at once share the work. What went is counted in the
    transaction in which it goes, so the one row on the audit log is right whatever was killed before.
    """
    whole, kept = True, _pointed_at()
    for one in kinds():
        if one.days == 0:
            continue
        bounds = Bounds(now - timedelta(days=one.days or 0), kept)
        removed, finished = _prune_kind(one, bounds, stop)
        whole = whole and finished
        if removed:
            say(Pruned(removed, finished).sentence())
    return Pruned(_settle(actor, reason), whole)


def _prune_kind(one: Kind, bounds: Bounds, stop: Callable[[], bool]) -> tuple[dict[str, int], bool]:
    removed: dict[str, int] = {}
    after: int | None = 0
    while after is not None:
        if stop():
            return removed, False
        with transaction.atomic(durable=True):
            portion = one.step(bounds, after)
            _count(portion.removed)
        for what, rows in portion.removed.items():
            removed[what] = removed.get(what, 0) + rows
        after = portion.after
    return {what: rows for what, rows in removed.items() if rows}, True


def _pointed_at() -> dict[str, set[int]]:
    kept: dict[str, set[int]] = {}
    for pointers in _pointers:
        for name, key in pointers():
            kept.setdefault(name, set()).add(key)
    return kept


def _count(removed: Mapping[str, int]) -> None:
    rows = [(what, number) for what, number in removed.items() if number]
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(COUNT, rows)


def _settle(actor: audit.Actor, reason: str) -> dict[str, int]:
    """Everything that was counted goes onto the audit log, once."""
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute(TAKE_COUNTS)
            removed = dict(cursor.fetchall())
        if removed:
            kept = {one.setting: one.days for one in kinds() if one.setting}
            audit.record(actor, "rows.pruned", "retention", reason=reason, removed=removed, kept_days=kept)
    return removed
