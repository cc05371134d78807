"""A task's history as a band: healthy, failing, disabled, or unknown, from left to right. Geometry only, and pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from typing import TypeAlias

from opsconsole.charts import WIDTH
from opsconsole.words import duration

STRETCHES = 200
HEIGHT = 24
Spell: TypeAlias = tuple[datetime, datetime | None]
"""From, and to; None: it lasts."""


class Was(StrEnum):
    """What a task was in a stretch of time. The worse one counts where it was several."""

    HEALTHY = "healthy"
    UNKNOWN = "unknown"
    DISABLED = "disabled"
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class Piece:
    was: Was
    x: float
    width: float
    title: str


@dataclass(frozen=True, slots=True)
class Band:
    """`label` says in words what is shown."""

    label: str
    pieces: tuple[Piece, ...]
    start: datetime
    end: datetime
    width: int = WIDTH
    height: int = HEIGHT


def band_of(
    start: datetime,
    end: datetime,
    *,
    known_from: datetime,
    failing: Sequence[Spell],
    unseen: Sequence[Spell],
    disabled: Sequence[Spell],
) -> Band:
    """[start, end) in 200 stretches. Before `known_from` nobody knows but of spells of failing that began before."""
    length = (end - start) / STRETCHES
    moments = [(start + length * place, start + length * (place + 1)) for place in range(STRETCHES)]
    was = [_was(one, known_from, failing, unseen, disabled) for one in moments]
    pieces, place = [], 0
    for kind, group in groupby(was):
        count = len(list(group))
        pieces.append(_piece(kind, place, count, start + length * place, start + length * (place + count)))
        place += count
    share = {kind: was.count(kind) / STRETCHES for kind in Was if kind in was}
    said = ", ".join(f"{kind.value} {part:.0%}" for kind, part in share.items())
    return Band(f"From {start:%d %b %Y} to {end:%d %b %Y}: {said} of the time", tuple(pieces), start, end)


def _was(
    stretch: tuple[datetime, datetime],
    known_from: datetime,
    failing: Sequence[Spell],
    unseen: Sequence[Spell],
    disabled: Sequence[Spell],
) -> Was:
    if any(_meets(stretch, spell) for spell in failing) and not any(_covers(spell, stretch) for spell in unseen):
        return Was.FAILING
    if any(_covers(spell, stretch) for spell in disabled):
        return Was.DISABLED
    if stretch[1] <= known_from or any(_meets(stretch, spell) for spell in unseen):
        return Was.UNKNOWN
    return Was.HEALTHY


def _meets(stretch: tuple[datetime, datetime], spell: Spell) -> bool:
    return spell[0] < stretch[1] and (spell[1] is None or spell[1] > stretch[0])


def _covers(spell: Spell, stretch: tuple[datetime, datetime]) -> bool:
    return spell[0] <= stretch[0] and (spell[1] is None or spell[1] >= stretch[1])


def _piece(was: Was, place: int, count: int, start: datetime, end: datetime) -> Piece:
    step = WIDTH / STRETCHES
    lasted = duration((end - start).total_seconds())
    title = f"{was.value.capitalize()}: {start:%d %b %H:%M} to {end:%d %b %H:%M} UTC, {lasted}"
    return Piece(was, round(place * step, 1), round(count * step, 1), title)
