"""Charts drawn by the server as SVG, without script and without a style in the markup. Geometry only, and pure.

A chart is drawn in a box of fixed units that the page stretches to the width there is; words and figures stand below
it in HTML, so that they stay readable at any width. Every chart has a sentence for those who cannot see it, and its
page a table of the figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

WIDTH, HEIGHT = 600, 100
MOST_POINTS = 200


@dataclass(frozen=True, slots=True)
class Sample:
    """A value at a moment; None where it could not be had, which leaves a gap in the line."""

    at: datetime
    value: float | None


@dataclass(frozen=True, slots=True)
class LineChart:
    """`lines` are the points of each unbroken piece, as SVG writes them; `dots` are pieces of one sample. `level` is
    the height of the limit's line, None where there is none to draw. `label` says in words what is shown."""

    label: str
    lines: tuple[str, ...]
    dots: tuple[tuple[float, float], ...]
    top: float
    start: datetime
    end: datetime
    level: float | None = None
    width: int = WIDTH
    height: int = HEIGHT


@dataclass(frozen=True, slots=True)
class Bar:
    """`x`, `y`, `width`, `height` in the chart's units; `title` says what it stands for."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class BarChart:
    label: str
    bars: tuple[Bar, ...]
    top: float
    width: int = WIDTH
    height: int = HEIGHT


def line_chart(
    label: str,
    samples: Sequence[Sample],
    start: datetime,
    end: datetime,
    *,
    gap: timedelta,
    limit: float | None = None,
) -> LineChart:
    """The samples of [start, end], in order of time, from 0 up. Where two are further apart than `gap` the line breaks.

    At most 200 points are drawn: of each stretch of time its last sample.
    """
    shown = thinned([one for one in samples if start <= one.at <= end], start, end, MOST_POINTS)
    values = [one.value for one in shown if one.value is not None]
    top = max([*values, limit or 0, 1])
    # A thinned line has its points further apart than the samples were.
    pieces = _pieces(shown, max(gap, (end - start) / MOST_POINTS * 2))
    placed = [[_point(at, value, start, end, top) for at, value in piece] for piece in pieces]
    return LineChart(
        label=label,
        lines=tuple(" ".join(f"{x:g},{y:g}" for x, y in piece) for piece in placed if len(piece) > 1),
        dots=tuple(piece[0] for piece in placed if len(piece) == 1),
        top=top,
        start=start,
        end=end,
        level=None if limit is None else round(HEIGHT * (1 - limit / top), 1),
    )


def thinned(samples: Sequence[Sample], start: datetime, end: datetime, most: int) -> list[Sample]:
    """At most `most` of the samples: the last of each of as many equal stretches of time."""
    length = max((end - start) / most, timedelta(microseconds=1))
    last = {min((one.at - start) // length, most - 1): one for one in samples}
    return list(last.values())


def _pieces(samples: Sequence[Sample], gap: timedelta) -> list[list[tuple[datetime, float]]]:
    pieces: list[list[tuple[datetime, float]]] = []
    before: datetime | None = None
    for one in samples:
        if one.value is None:
            before = None
            continue
        if before is None or one.at - before > gap:
            pieces.append([])
        pieces[-1].append((one.at, one.value))
        before = one.at
    return pieces


def _point(at: datetime, value: float, start: datetime, end: datetime, top: float) -> tuple[float, float]:
    across = (at - start) / (end - start) if end > start else 0.0
    return round(across * WIDTH, 1), round(HEIGHT * (1 - value / top), 1)


def bar_chart(label: str, values: Sequence[tuple[str, float]]) -> BarChart:
    """A bar for each value, from left to right; each with its title."""
    top = max([value for _, value in values] + [1])
    step = WIDTH / max(len(values), 1)
    bars = [
        Bar(
            round(place * step, 1),
            round(HEIGHT * (1 - value / top), 1),
            round(step * 0.8, 1),
            round(HEIGHT * value / top, 1),
            title,
        )
        for place, (title, value) in enumerate(values)
    ]
    return BarChart(label, tuple(bars), top)
