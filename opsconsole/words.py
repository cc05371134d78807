"""How numbers, sizes, durations and times are written, on pages and in commands alike."""

from __future__ import annotations

from datetime import UTC, datetime

NOTHING = "\N{EN DASH}"
_UNITS_OF_TIME = ((86_400, "day"), (3_600, "hour"), (60, "minute"))
_SPANS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_EXACT_BELOW = 10.0  # seconds; longer ones are told without decimals
_KIB = 1024
_ROUNDS_UP = 1023.95  # would be written 1024.0: that is one of the next unit
_UNITS = ("KiB", "MiB", "GiB", "TiB")
NAMED_AT_MOST = 5


def number(value: float | int | None) -> str:
    """`1,234,567`; a dash for None."""
    return NOTHING if value is None else f"{value:,}"


def counted(count: int | None, what: str, more: str = "") -> str:
    """`1 job`, `1,234 jobs`: `what` is one of them; `more` is their name where it is not that with an s."""
    return f"{number(count)} {what if count == 1 else more or f'{what}s'}"


def some_of(things: list[str]) -> str:
    """The first few, and how many more."""
    more = len(things) - NAMED_AT_MOST
    return "; ".join(things[:NAMED_AT_MOST]) + (f"; and {more:,} more" if more > 0 else "")


def duration(seconds: float | None) -> str:
    """The two largest units that say something: `420 ms`, `4.2 s`, `1 min 5 s`, `2 h 5 min`, `3 d 1 h`."""
    if seconds is None:
        return NOTHING
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if round(seconds, 3) < 1:
        return f"{seconds * 1000:.0f} ms"
    if round(seconds, 1) < _EXACT_BELOW:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    return _long(round(seconds))


def _long(seconds: int) -> str:
    place = next(place for place, (length, _) in enumerate(_SPANS) if seconds >= length)
    parts = []
    for length, unit in _SPANS[place : place + 2]:
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts)


def ago(moment: datetime, now: datetime) -> str:
    """`12 minutes ago`, `in 3 hours`: the largest unit, rounded down, as the page's own script goes on saying it. No
    seconds: they are wrong as soon as they are read."""
    seconds = (now - moment).total_seconds()
    found = next((one for one in _UNITS_OF_TIME if abs(seconds) >= one[0]), None)
    if found is None:
        return "within a minute" if seconds < 0 else "just now"
    length, unit = found
    span = counted(int(abs(seconds) // length), unit)
    return f"in {span}" if seconds < 0 else f"{span} ago"


def size(octets: int | None) -> str:
    """Bytes in binary units: `512 B`, `1.5 KiB`, `64 MiB`."""
    if octets is None:
        return NOTHING
    if abs(octets) < _KIB:
        return f"{octets} B"
    amount = float(octets)
    for unit in _UNITS:
        amount /= _KIB
        if abs(amount) < _ROUNDS_UP or unit == _UNITS[-1]:
            break
    return f"{amount:,.1f}".removesuffix(".0") + f" {unit}"


def utc(moment: datetime) -> str:
    """`2026-03-01 14:05:09`, in UTC. Raises ValueError for a time without a zone."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no zone")
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def machine_time(moment: datetime) -> str:
    """ISO 8601 in UTC with a `Z`, for `<time datetime>`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
