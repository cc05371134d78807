"""Whether a count moves, told from its past, and said in one sentence. Pure.

The slope is Theil and Sen's: the median of the slopes between all pairs of points, which no single bad count can turn.
Whether it is more than chance is asked of Kendall's test. The counts are of a window of ages, so a record that nobody
works on leaves it in the end: `Point.aged` says how many did, and a fall that is nothing else is called by its name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import accumulate, combinations
from statistics import median

from opsconsole import words

RECENT = timedelta(hours=1)  # what the slope is told from
FEWEST = 4
MOST = 60  # the pairs of more take longer than the page
SHORTEST = timedelta(minutes=2)
CERTAIN = 1.96  # standard deviations: one in twenty is chance
LEAST_AN_HOUR = 1.0
LEAST_SHARE = 0.02  # of the count, in an hour: less is called steady
HOUR, DAY = 3_600.0, 86_400.0


@dataclass(frozen=True, slots=True)
class Point:
    """A count at a moment; `aged` records have left the window by their age since the point before."""

    at: datetime
    count: int
    aged: int = 0


class Direction(StrEnum):
    UNKNOWN = "unknown"
    NONE = "none"
    FALLING = "falling"
    AGEING = "ageing"
    RISING = "rising"
    STEADY = "steady"


@dataclass(frozen=True, slots=True)
class Trend:
    """`per_hour` is how fast the count falls or rises, never negative; `aged_per_hour` how many grow too old for the
    window. `since`: the rise began then, or before it where `known_since` is false. `empty_in` is in seconds."""

    direction: Direction
    count: int
    per_hour: float = 0.0
    aged_per_hour: float = 0.0
    since: datetime | None = None
    known_since: bool = True
    empty_in: float | None = None


def trend_of(points: Sequence[Point]) -> Trend:
    """How the last of `points` came about; they are in order of time, and all that is known of the last hours."""
    if not points:
        return Trend(Direction.UNKNOWN, 0)
    count = points[-1].count
    recent = [point for point in points if points[-1].at - point.at <= RECENT]
    if count == 0:
        return Trend(Direction.NONE, 0)
    if len(recent) < FEWEST or recent[-1].at - recent[0].at < SHORTEST:
        return Trend(Direction.UNKNOWN, count)
    return _moving(points, recent)


def _moving(points: Sequence[Point], recent: Sequence[Point]) -> Trend:
    count = recent[-1].count
    gone = list(accumulate((point.aged for point in recent[1:]), initial=0))
    kept = range(len(recent) - 1, -1, -math.ceil(len(recent) / MOST))[::-1]
    hours = [(recent[place].at - recent[0].at).total_seconds() / HOUR for place in kept]
    counts = [float(recent[place].count) for place in kept]
    without_ageing = [float(recent[place].count + gone[place]) for place in kept]
    seen, worked = slope(hours, counts), slope(hours, without_ageing)
    aged_per_hour = gone[-1] / hours[-1]
    if not _moves(seen, counts):
        return Trend(Direction.STEADY, count, aged_per_hour=aged_per_hour)
    if seen > 0:
        since, known = began_to_rise(points)
        return Trend(Direction.RISING, count, seen, aged_per_hour, since, known)
    if worked < 0 and _moves(worked, without_ageing):
        return Trend(Direction.FALLING, count, -seen, aged_per_hour, empty_in=count / -seen * HOUR)
    return Trend(Direction.AGEING, count, -seen, aged_per_hour)


def slope(hours: Sequence[float], values: Sequence[float]) -> float:
    """The median of the slopes between all pairs, in units an hour. 0 where no two moments differ."""
    pairs = combinations(zip(hours, values, strict=True), 2)
    slopes = [(later[1] - sooner[1]) / (later[0] - sooner[0]) for sooner, later in pairs if later[0] > sooner[0]]
    return median(slopes) if slopes else 0.0


def _moves(per_hour: float, values: Sequence[float]) -> bool:
    """Whether a slope is large enough to be said, and more than chance."""
    large = abs(per_hour) >= max(LEAST_AN_HOUR, LEAST_SHARE * values[-1])
    number = len(values)
    signs = sum((later > sooner) - (later < sooner) for sooner, later in combinations(values, 2))
    deviation = math.sqrt(number * (number - 1) * (2 * number + 5) / 18)
    return large and abs(signs) > CERTAIN * deviation and signs * per_hour > 0


def began_to_rise(points: Sequence[Point]) -> tuple[datetime, bool]:
    """When the rise that ends with the last point began: at the lowest count before it, up to which nothing fell back
    by more than half of the rise. False: it goes back as far as anything is known."""
    counts = _without_spikes([point.count for point in points])
    top, low = counts[-1], len(counts) - 1
    for place in reversed(range(len(counts) - 1)):
        if counts[place] < counts[low]:
            low = place
        elif counts[place] - counts[low] > max(1, (top - counts[low]) / 2):
            return points[low].at, True
    return points[low].at, low > 0


def _without_spikes(counts: Sequence[int]) -> list[int]:
    """Each count as the median of itself and its neighbours; the ends stay."""
    inner = [sorted(counts[place - 1 : place + 2])[1] for place in range(1, len(counts) - 1)]
    return [counts[0], *inner, counts[-1]] if len(counts) > 1 else list(counts)


def sentence(label: str, trend: Trend, now: datetime) -> str:
    """`processing: 412, falling about 60 an hour, empty in about 7 hours`."""
    return f"{label}: {movement(trend, now)}"


def movement(trend: Trend, now: datetime) -> str:
    """The part after the label, without a full stop."""
    count = words.number(trend.count)
    match trend.direction:
        case Direction.NONE:
            return "none"
        case Direction.UNKNOWN:
            return f"{count}, too early to say whether it moves"
        case Direction.STEADY:
            return f"{count}, steady{_ageing_too(trend)}"
        case Direction.AGEING:
            return f"{count}, falling only because records grow too old for the window; nothing is worked off"
        case Direction.RISING:
            return f"{count}, rising about {rate(trend.per_hour)}{_since(trend, now)}{_ageing_too(trend)}"
        case Direction.FALLING:
            return f"{count}, falling about {rate(trend.per_hour)}{_emptying(trend)}{_ageing_too(trend)}"


def _since(trend: Trend, now: datetime) -> str:
    if trend.since is None:
        return ""
    shown = f"{trend.since:%H:%M} UTC" if trend.since.date() == now.date() else f"{trend.since:%d %b %H:%M} UTC"
    return f" since {'' if trend.known_since else 'before '}{shown}"


def _emptying(trend: Trend) -> str:
    return "" if trend.empty_in is None else f", empty in about {span(trend.empty_in)}"


def _ageing_too(trend: Trend) -> str:
    """Said where it is a fifth of what happens, or where nothing else does."""
    if trend.aged_per_hour < max(LEAST_AN_HOUR, LEAST_SHARE * trend.count, trend.per_hour / 5):
        return ""
    return f" ({rate(trend.aged_per_hour)} grow too old for the window)"


def rate(per_hour: float) -> str:
    """`60 an hour`, or `12 a day` where that says more."""
    return f"{about(per_hour)} an hour" if per_hour >= 1 else f"{about(per_hour * 24)} a day"


def span(seconds: float) -> str:
    """A rough length of time: `40 minutes`, `7 hours`, `3 days`."""
    for length, name, upto in ((60.0, "minute", 90 * 60.0), (HOUR, "hour", 2 * DAY), (DAY, "day", math.inf)):
        if seconds < upto:
            count = max(1, round(seconds / length))
            return f"{about(count)} {name}{'' if count == 1 else 's'}"
    raise ValueError(seconds)


def about(value: float) -> str:
    """Two significant digits: `7`, `64`, `1,200`."""
    if value < 10:  # noqa: PLR2004  (one digit says enough)
        return words.number(max(1, round(value)))
    digits = math.floor(math.log10(value)) - 1
    return words.number(int(round(value / 10**digits) * 10**digits))
