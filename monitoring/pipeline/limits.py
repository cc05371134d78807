"""The limits that hold now: the estate's, and what an administrator set on the page instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings

from monitoring.pipeline.models import ChangedLimit
from opsconsole import estate
from opsconsole.estate.model import Pipeline, QueueLimits


@dataclass(frozen=True, slots=True)
class Limit:
    """One value that can be changed. `unit` is `duration` (seconds) or `number`; bounds as in the estate file."""

    name: str
    label: str
    unit: str
    minimum: float
    maximum: float
    help: str = ""


DAY = 86_400.0
MOST_MESSAGES = 1e9
MOST_COMPARED = 5_000


def _of_queue(queue: str) -> tuple[Limit, ...]:
    return (
        Limit(f"{queue}.depth", f"{queue}: messages waiting", "number", 0, MOST_MESSAGES),
        Limit(f"{queue}.age", f"{queue}: oldest message waits", "duration", 1, 30 * DAY),
        Limit(f"{queue}.job_time", f"{queue}: a job runs", "duration", 1, 30 * DAY),
    )


LIMITS = (
    *(limit for queue in settings.QUEUES for limit in _of_queue(queue)),
    Limit("stuck_after", "No progress for", "duration", 30, DAY, "A running job, or a queue with messages."),
    Limit("lag_limit", "Consumer lag", "number", 0, MOST_MESSAGES, "Messages."),
    Limit("canary_every", "Canary: a round every", "duration", 5, DAY),
    Limit("canary_recent", "Canary: tasks updated last", "number", 1, MOST_COMPARED),
    Limit("canary_random", "Canary: tasks at random", "number", 0, MOST_COMPARED),
    Limit("canary_reach", "Canary: random ones updated within", "duration", 60, 365 * DAY),
    Limit("canary_limit", "Canary: differing tasks of a round", "number", 0, MOST_COMPARED, "More are a problem."),
)
BY_NAME: Mapping[str, Limit] = {limit.name: limit for limit in LIMITS}


def current() -> Pipeline:
    """The limits that hold now. One query."""
    return applied(estate.current().pipeline, dict(ChangedLimit.objects.values_list("name", "value")))


def applied(defaults: Pipeline, changed: Mapping[str, float]) -> Pipeline:
    """`defaults` with what was changed. A name that is no limit any more changes nothing. Pure."""
    limits = defaults
    for name, value in changed.items():
        if name not in BY_NAME:
            continue
        group, _, field = name.rpartition(".")
        if group:
            part: Any = of_queue(limits, group)
            changes: dict[str, Any] = {group: replace(part, **{field: _typed(name, value)})}
        else:
            changes = {field: _typed(name, value)}
        limits = replace(limits, **changes)
    return limits


def _typed(name: str, value: float) -> float:
    return value if BY_NAME[name].unit == "duration" else int(value)


def value_of(limits: Pipeline, name: str) -> float:
    """One value by its name."""
    group, _, field = name.rpartition(".")
    return float(getattr(getattr(limits, group) if group else limits, field))


def of_queue(limits: Pipeline, queue: str) -> QueueLimits:
    found: QueueLimits = getattr(limits, queue)
    return found
