"""What the clock does by itself. Apps register their duties when they are loaded; the loop runs those that are due."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Duty:
    """Something done every `every` seconds by whoever holds the lease. Must be safe to repeat and to be killed in.

    A `slow` one asks other systems, which may take their time: it is done beside the others, and may still be at it
    when the lease has gone to another clock. `wanted` is asked first, in the loop itself: what is seldom needed then
    costs one statement, and no thread with a connection of its own.
    """

    name: str
    every: float
    act: Callable[[], object]
    slow: bool = False
    wanted: Callable[[], bool] | None = None


_registered: dict[str, Duty] = {}


def duty(
    name: str, *, every: float, slow: bool = False, wanted: Callable[[], bool] | None = None
) -> Callable[[Callable[[], object]], Callable[[], object]]:
    def register(act: Callable[[], object]) -> Callable[[], object]:
        _registered[name] = Duty(name, every, act, slow, wanted)
        return act

    return register


def registered() -> tuple[Duty, ...]:
    return tuple(_registered.values())
