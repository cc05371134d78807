"""How long it usually takes until a record is past a status, told from where the last week's records are now. Pure.

A table keeps only the last change of a record, not its way. What can be told: a record that stands in a later status
had left every earlier one by its last change at the latest. So the time from its creation to its last change is, for
each status before its present one, a time within which it was past. 95 in 100 of those are within the usual time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monitoring.records.guide import Guide

STEPS = 10.0  # steps of the histogram in each factor of e: a step is a tenth
SHARE = 0.95
FEWEST = 50
SHORTEST = 60.0  # seconds: what usually takes less is not stuck after seconds


@dataclass(frozen=True, slots=True)
class Step:
    """`count` records of `status` took between e^(step/10) and e^((step+1)/10) seconds to their last change."""

    status: str
    step: int
    count: int


def usual_times(steps: Sequence[Step], guide: Guide) -> dict[str, float]:
    """Seconds by status, for the statuses of the guide that records pass and enough of them have."""
    found: dict[str, float] = {}
    for kind in guide.kinds():
        if kind.rests:
            continue
        past: dict[int, int] = {}
        for step in steps:
            if guide.kind(step.status).known and guide.kind(step.status).place > kind.place:
                past[step.step] = past.get(step.step, 0) + step.count
        if sum(past.values()) >= FEWEST:
            found[kind.status] = max(SHORTEST, percentile(past, SHARE))
    return found


def percentile(counts: Mapping[int, int], share: float) -> float:
    """The upper end, in seconds, of the step in which `share` of all is reached."""
    wanted = share * sum(counts.values())
    reached = 0
    for step in sorted(counts):
        reached += counts[step]
        if reached >= wanted:
            return math.exp((step + 1) / STEPS)
    raise ValueError("a percentile of nothing")
