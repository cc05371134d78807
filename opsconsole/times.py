"""Reading times as people write them. Without a zone they are UTC, and the reader is told so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from opsconsole.errors import UsageError

ALLOWED = "allowed is yyyy-mm-dd hh:mm:ss (UTC), or ISO 8601 with a zone"


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open interval [start, end) of UTC times."""

    start: datetime
    end: datetime

    def __str__(self) -> str:
        return f"[{self.start:%Y-%m-%d %H:%M:%S}, {self.end:%Y-%m-%d %H:%M:%S}) UTC"


def parse_time(text: str, what: str) -> tuple[datetime, bool]:
    """`text` as an aware UTC time, and whether UTC had to be assumed. Raises UsageError naming `what`."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(f"{what} {text!r} is no time; {ALLOWED}.") from None
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC), True
    try:
        return moment.astimezone(UTC), False
    except OverflowError:
        raise UsageError(f"{what} {text!r} is outside of what a clock can show; {ALLOWED}.") from None


def parse_window(from_text: str, to_text: str) -> tuple[Window, list[str]]:
    """The window between two times as typed, and what had to be assumed, as sentences. Raises UsageError."""
    start, start_assumed = parse_time(from_text, "--from")
    end, end_assumed = parse_time(to_text, "--to")
    if start >= end:
        raise UsageError(f"--from {from_text!r} is not before --to {to_text!r}; the window [from, to) would be empty.")
    assumed = [name for name, was in (("--from", start_assumed), ("--to", end_assumed)) if was]
    notes = [f"{' and '.join(assumed)} without a zone: taken as UTC."] if assumed else []
    return Window(start, end), notes
