"""What becomes of a run that has not begun by the time it was to begin by. Pure.

One that is due and not critical has missed its time. A critical one is still wanted: it is said to be late, and waits
on until its recovery window is over. What somebody asked for waits as long as it takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Awaited:
    """A run that has not begun. `asked_for`: by a person, the API or a chain, and not by its schedule."""

    due_at: datetime
    start_by: datetime
    critical: bool
    asked_for: bool
    recovery_window: timedelta
    said_late: bool = False


@dataclass(frozen=True, slots=True)
class Lateness:
    """`missed`: it does not run any more. Else it is late, and looked at again at `until` (None: never)."""

    missed: bool
    until: datetime | None = None


def judge(awaited: Awaited) -> Lateness:
    """What becomes of it once `start_by` has passed."""
    if awaited.asked_for:
        return Lateness(missed=False)
    over = awaited.due_at + awaited.recovery_window
    if not awaited.critical or awaited.said_late or over <= awaited.start_by:
        return Lateness(missed=True)
    return Lateness(missed=False, until=over)


def why(waits_for: str, *, queue: str, living_workers: int, pushed_again: bool) -> str:
    """Why a run has not begun, in a sentence. `waits_for` is what its state says; empty for one that is queued.
    `living_workers`: so many serve its queue."""
    if waits_for:
        return waits_for
    if not living_workers:
        return f"No worker of queue {queue} was running."
    if pushed_again:
        return "The queue was emptied; it was queued again."
    return "Every worker was busy."
