"""How fast a check goes, and how long it may still take. Pure; an estimate is a range, or nothing at all."""

from __future__ import annotations

from dataclasses import dataclass

LEAST_SECONDS = 3.0
"""Below this, opening connections and the first statement weigh more than the rows."""

EARLY_DOUBT = 6.0
"""Seconds of measuring after which half of the early doubt is gone."""

LASTING_DOUBT = 1.2
"""How far off a long measurement may still be: rows are not spread evenly, nor is drift."""

_STEPS = ((60, 5), (600, 30), (3_600, 60), (36_000, 600))
_COARSEST = 3_600


@dataclass(frozen=True, slots=True)
class Pace:
    """`rate` in rows per second; `least` and `most` the seconds left, None where the end is not known."""

    rate: float
    least: float | None = None
    most: float | None = None


def pace(scanned: int, seconds: float, left: int | None) -> Pace | None:
    """The pace of `scanned` rows in `seconds` with `left` rows to go (None: unknown). None with too little to go by."""
    if scanned <= 0 or seconds < LEAST_SECONDS:
        return None
    rate = scanned / seconds
    if left is None or left <= 0:
        return Pace(rate)
    doubt = LASTING_DOUBT + EARLY_DOUBT / (EARLY_DOUBT + seconds)
    least, most = (_humble(left / rate * factor) for factor in (1 / doubt, doubt))
    return Pace(rate, least, max(most, least))


def _humble(seconds: float) -> float:
    """Rounded up to a step that does not promise more than is known: 5 s, 30 s, a minute, ten minutes, an hour."""
    step = next((step for below, step in _STEPS if seconds < below), _COARSEST)
    return float(-(-seconds // step) * step)
