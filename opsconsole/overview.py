"""The signals of the overview, declared once each by the part that knows. The clock reads them; the page shows rows.

A part registers a function that reads its own snapshots or indexes; what asks outside systems is a duty's business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from opsconsole.tones import Tone


@dataclass(frozen=True, slots=True)
class Reading:
    """One signal at one moment.

    `value` goes into the trend, `shown` is the figure for people, `sentence` says what it means and what to do.
    `limit` says in words what is too much, `limit_value` draws it. `address` leads to the page behind the signal;
    `action` and `action_address` to what helps. `since` is given where the part knows better than the clock, which
    otherwise takes the moment when the tone changed.
    """

    value: float | None
    shown: str
    tone: Tone
    sentence: str
    address: str
    limit: str = ""
    limit_value: float | None = None
    action: str = ""
    action_address: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class OverviewSignal:
    """`order` is its place in the row. `read` gets the present time; None: there is nothing of it here."""

    name: str
    label: str
    order: int
    read: Callable[[datetime], Reading | None]


_registered: dict[str, OverviewSignal] = {}


def overview_signal(
    name: str, label: str, *, order: int
) -> Callable[[Callable[[datetime], Reading | None]], Callable[[datetime], Reading | None]]:
    """Declare the signal `name`. Its function may read the console's own database, bounded, and nothing outside."""

    def register(read: Callable[[datetime], Reading | None]) -> Callable[[datetime], Reading | None]:
        _registered[name] = OverviewSignal(name, label, order, read)
        return read

    return register


def overview_signals() -> tuple[OverviewSignal, ...]:
    """All declared signals, in order."""
    return tuple(sorted(_registered.values(), key=lambda signal: (signal.order, signal.name)))
