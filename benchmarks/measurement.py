"""One measured figure, what it is held against, and the goal it is to reach."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from statistics import median
from time import perf_counter

WARM_UP = 1


@dataclass(frozen=True)
class Goal:
    """`at_most` or at least `value`, in the unit of the figure ("x" for a ratio)."""

    value: float
    unit: str = "x"
    at_most: bool = True

    def holds(self, figure: float) -> bool:
        return figure <= self.value if self.at_most else figure >= self.value

    def __str__(self) -> str:
        return f"{'at most' if self.at_most else 'at least'} {self.value:g} {self.unit}"


@dataclass(frozen=True)
class Measurement:
    """`ours` is what the console took or gave, `bound` what the same work takes or gives bare, in the same run.

    Both are in `unit`. The figure that the goal speaks of is their ratio, unless `other_figure` gives another one. No
    goal: shown only.
    """

    name: str
    ours: float
    bound: float
    goal: Goal | None = None
    command: str = "make bench"
    unit: str = "s"
    other_figure: float | None = None

    @property
    def figure(self) -> float:
        return self.ours / self.bound if self.other_figure is None else self.other_figure

    @property
    def holds(self) -> bool | None:
        return None if self.goal is None else self.goal.holds(self.figure)

    def to_json(self) -> dict[str, object]:
        """As in results.json: `figure` with its unit, `ours` and `bound` in `unit`."""
        return {
            "name": self.name,
            "figure": self.figure,
            "goal": str(self.goal) if self.goal else None,
            "holds": self.holds,
            "ours": self.ours,
            "bound": self.bound,
            "unit": self.unit,
            "command": self.command,
        }


def is_quick() -> bool:
    """Whether small sizes and few repeats will do: QUICK=1."""
    return bool(os.environ.get("QUICK"))


def seconds(work: Callable[[], object]) -> float:
    begin = perf_counter()
    work()
    return perf_counter() - begin


def in_turn(works: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """The median time in seconds of each work. They take turns, so that a busy machine is busy for all of them; each
    runs once before without being counted."""
    for work in works.values():
        work()
    took: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            took[name].append(seconds(work))
    return {name: median(times) for name, times in took.items()}


def measure_alone(module: str) -> list[Measurement]:
    """What a benchmark without a stage measures; called in a process of its own."""
    return list(import_module(f"benchmarks.{module}").measure())
