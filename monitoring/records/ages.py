"""Ages as people give them in an address (`15m`, `5h`, `2d`), and the window of creation times between two of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from opsconsole.errors import UsageError
from opsconsole.estate import units
from opsconsole.estate.record_reader import OLDEST
from opsconsole.times import Window

ALLOWED = 'allowed are a number and a unit, "90s", "15m", "5h" or "7d", up to 3650d'
UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


@dataclass(frozen=True, slots=True)
class Ages:
    """Older than `older` and younger than `younger`, in seconds."""

    older: float
    younger: float

    def window(self, now: datetime) -> Window:
        """The creation times that are of these ages now."""
        return Window(now - timedelta(seconds=self.younger), now - timedelta(seconds=self.older))


def parse_age(text: str, what: str) -> float:
    """Seconds. A bare number is refused: nobody can tell its unit. Raises UsageError naming `what`."""
    try:
        seconds = units.seconds(text)
    except ValueError:
        raise UsageError(f"{what} is {text[:40]!r}; {ALLOWED}.") from None
    if seconds > OLDEST:
        raise UsageError(f"{what} is {text[:40]!r}; {ALLOWED}.")
    return seconds


def parse_ages(older: str, younger: str) -> Ages:
    """Raises UsageError where one cannot be read, or where nothing is between them."""
    ages = Ages(parse_age(older, "Older than"), parse_age(younger, "Younger than"))
    if ages.older >= ages.younger:
        raise UsageError(
            f"Nothing is older than {older} and younger than {younger}; the first must be the shorter age."
        )
    return ages


def written(seconds: float) -> str:
    """The shortest way to write an age that `parse_age` reads back: `15m`, `36h`, `7d`."""
    whole = round(seconds)
    length, unit = next(((length, unit) for length, unit in UNITS if whole % length == 0), UNITS[-1])
    return f"{whole // length}{unit}"
