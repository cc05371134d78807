"""When many alerts are one incident, and when a subject flaps. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

WITHIN = timedelta(minutes=5)
LEAST = 5
QUARTER = 4
MEMBERS_HELD = timedelta(minutes=25)
"""Members of an incident are held back so long; then a digest has them all, within half an hour of the first."""

CHANGES_AN_HOUR = 4
CALM_AFTER = timedelta(hours=1)


def is_incident(together: int, size: int | None) -> bool:
    """Whether so many alerts of one type, in one scope of `size` subjects (None: not known), are one incident."""
    quarter = -(-size // QUARTER) if size else 0
    return together >= max(LEAST, quarter)


def is_flapping(changes: int) -> bool:
    """Whether so many changes within an hour, openings and resolutions together, are too many to tell of each."""
    return changes > CHANGES_AN_HOUR


_sizes: dict[str, Callable[[str], int]] = {}


def scope_size(*kinds: str) -> Callable[[Callable[[str], int]], Callable[[str], int]]:
    """Declare how many subjects a scope has, for alerts of these kinds. The function gets the scope; one query."""

    def register(count: Callable[[str], int]) -> Callable[[str], int]:
        _sizes.update(dict.fromkeys(kinds, count))
        return count

    return register


def size_of(kind: str, scope: str) -> int | None:
    count = _sizes.get(kind)
    return count(scope) if count else None
