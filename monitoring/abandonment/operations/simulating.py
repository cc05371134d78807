"""A policy tried on the present tasks before it is saved: who would be warned and disabled, and when."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from monitoring.abandonment.forecast import STILL, Fate, Forecast, forecast
from monitoring.abandonment.models import TrackedTask
from monitoring.abandonment.operations.policies import book_with
from monitoring.abandonment.operations.proving import proof_of
from monitoring.abandonment.rules import ANY, Aim, Aimed

HORIZON = timedelta(days=30)
MOST_SHOWN = 100
CHUNK = 2_000


@dataclass(slots=True)
class Simulation:
    """`counts` by fate, over 30 days; `at_once` would be warned at the next look. `first` are those that it concerns
    soonest. `under` is how many tasks were looked at. `proof` is what saving this very policy asks for."""

    counts: dict[str, int] = field(default_factory=dict)
    at_once: int = 0
    under: int = 0
    first: list[tuple[TrackedTask, Forecast]] = field(default_factory=list)
    proof: str = ""

    def count(self, *fates: Fate) -> int:
        return sum(self.counts.get(fate.value, 0) for fate in fates)

    @property
    def warned(self) -> int:
        return self.count(Fate.WARNED, Fate.DISABLED)

    @property
    def disabled(self) -> int:
        return self.count(Fate.DISABLED)

    @property
    def promised(self) -> int:
        return self.count(Fate.PROMISED)

    @property
    def detected(self) -> int:
        return self.count(Fate.DETECTED)

    @property
    def left_alone(self) -> int:
        return self.count(Fate.LEFT_ALONE)


def simulate(draft: Aimed, instead_of: Aim | None, now: datetime) -> Simulation:
    """By what is known of the tasks from the last look. Tasks that a narrower policy holds for are left out; the daily
    limit is not counted in. Memory is bounded; the query reads tasks that are near their time only."""
    book = book_with(draft, instead_of)
    found = Simulation()
    soonest: list[tuple[float, int, TrackedTask, Forecast]] = []
    for task in _near(draft, now):
        if book.policy(task.scope, task.kind).aim != draft.aim:
            continue
        found.under += 1
        one = forecast(task.facts, task.remembered, draft.rules, now, HORIZON)
        if one is None:
            continue
        found.counts[one.fate.value] = found.counts.get(one.fate.value, 0) + 1
        found.at_once += one.fate in (Fate.WARNED, Fate.DISABLED) and one.at <= now
        entry = (-one.at.timestamp(), -task.pk, task, one)
        if len(soonest) < MOST_SHOWN:
            heapq.heappush(soonest, entry)
        else:
            heapq.heappushpop(soonest, entry)
    found.proof = proof_of(draft, instead_of, now)
    found.first = [(task, one) for *_, task, one in sorted(soonest, key=lambda entry: (-entry[0], -entry[1]))]
    return found


def _near(draft: Aimed, now: datetime) -> Iterator[TrackedTask]:
    rules = draft.rules
    failing = Q(failing_since__lte=now + HORIZON - rules.failing_after)
    quiet = Q(failing_since=None, quiet_since__lte=min(now - STILL, now + HORIZON - rules.idle_after))
    rows = TrackedTask.objects.filter(failing | quiet, enabled=True, has_shards=True, gone_at=None)
    rows = _fitting(_fitting(rows, "scope", draft.aim.scope), "kind", draft.aim.kind)
    return rows.order_by("pk").iterator(chunk_size=CHUNK)


def _fitting(rows: QuerySet[TrackedTask], name: str, pattern: str) -> QuerySet[TrackedTask]:
    if pattern == ANY:
        return rows
    if pattern.endswith(ANY):
        return rows.filter(**{f"{name}__startswith": pattern[:-1]})
    return rows.filter(**{name: pattern})
