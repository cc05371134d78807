"""When two stores mean the same value, and how a value is written as JSON.

A source and an index seldom have the same types: a UUID is a text in the one, a numeric is a float in the other, a
timestamp is ISO text with some offset. `agree` compares what is meant. It is strict where types are alike: text agrees
with text only when equal, and true is not 1. A timestamp without a zone is read as UTC, as the adapters do.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Any, TypeAlias
from uuid import UUID

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

# Text that is a number as a machine writes it: "007" and "1_000" are words.
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d{1,6})?", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_NOT_FINITE = {"nan": "NaN", "infinity": "Infinity", "inf": "Infinity", "-infinity": "-Infinity", "-inf": "-Infinity"}


def to_json(value: object) -> Json:
    """`value` in its canonical JSON form, as messages and drift rows have it.

    Numerics (Decimal) and bytes become text (bytes as hexadecimal digits), timestamps ISO 8601 in UTC with microseconds
    and +00:00, intervals their seconds as text. What is not known is written as its own text.
    """
    if type(value) in _WRITTEN_AS_THEY_ARE:
        return value  # type: ignore[return-value]  # as the set says
    return next((write(value) for kind, write in _WRITERS if isinstance(value, kind)), str(value))


def _float_to_json(value: float) -> Json:
    return value if math.isfinite(value) else _number_text(Decimal(value))


# The first that fits: a datetime is a date, and an enum of texts a text.
_WRITERS: tuple[tuple[type | tuple[type, ...], Callable[[Any], Json]], ...] = (
    (Enum, lambda value: to_json(value.value)),
    (int, int),
    (float, _float_to_json),
    (str, str),
    (Decimal, lambda value: _number_text(value)),  # noqa: PLW0108  # defined below
    (datetime, lambda value: _utc(value).isoformat(timespec="microseconds")),
    ((date, time), lambda value: value.isoformat()),
    (timedelta, lambda value: str(_seconds(value))),
    ((bytes, bytearray, memoryview), lambda value: bytes(value).hex()),
    (Mapping, lambda value: {str(key): to_json(entry) for key, entry in value.items()}),
    ((list, tuple), lambda value: [to_json(entry) for entry in value]),
    ((set, frozenset), lambda value: sorted(map(to_json, value), key=repr)),
)


# What most columns are: by its exact type, without asking through the table above or below.
_WRITTEN_AS_THEY_ARE = frozenset({NoneType, bool, int, str})
_EQUAL_OR_NOT = frozenset({NoneType, bool, int, str, UUID})


def agree(one: object, other: object) -> bool:
    """Whether both values mean the same, though the stores may have them as different types. Symmetric."""
    if type(one) is type(other) and type(one) in _EQUAL_OR_NOT:
        return one == other
    one, other = _plain(one), _plain(other)
    if one is None or other is None or isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, str) and not isinstance(other, str):
        one, other = other, one
    return _agree(one, other)


def _agree(one: object, other: object) -> bool:
    """`one` is text only where both are."""
    if isinstance(one, str):
        return one == other
    for kind, same in _COMPARERS:
        if isinstance(one, kind):
            return same(one, other)
    return one == other or str(one) == str(other)


def _same_uuid(one: UUID, other: object) -> bool:
    return one == (_uuid(other) if isinstance(other, str) else other)


def _same_date(one: date, other: object) -> bool:
    return one.isoformat() == other if isinstance(other, str) else type(other) is date and one == other


def _same_time(one: time, other: object) -> bool:
    return one == (_time(other) if isinstance(other, str) else other)


def _same_interval(one: timedelta, other: object) -> bool:
    return one == other if isinstance(other, timedelta) else _same_number(_seconds(one), other)


def _same_bytes(one: bytes, other: object) -> bool:
    return one.hex() == other.removeprefix("\\x").lower() if isinstance(other, str) else one == other


def _same_object(one: dict[str, object], other: object) -> bool:
    other = _parsed(other)
    return isinstance(other, dict) and one.keys() == other.keys() and all(agree(one[key], other[key]) for key in one)


def _same_list(one: list[object], other: object) -> bool:
    other = _parsed(other)
    return isinstance(other, list) and len(one) == len(other) and all(map(agree, one, other))


def _plain(value: object) -> object:
    """The value with wrappers taken off, so that each meaning has one Python type."""
    match value:
        case Enum():
            return _plain(value.value)
        case bytearray() | memoryview():
            return bytes(value)
        case Mapping():
            return {str(key): entry for key, entry in value.items()}
        case tuple():
            return list(value)
        case set() | frozenset():
            return to_json(value)
        case _:
            return value


def _same_number(one: int | float | Decimal, other: object) -> bool:
    """A float stands for its shortest decimal text (0.1 for 0.1) as well as for its exact value."""
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(other, timedelta):
        other = _seconds(other)
    return any(_equal(a, b) for a in _decimals(one) for b in _decimals(other))


def _equal(one: Decimal, other: Decimal) -> bool:
    if one.is_nan() or other.is_nan():
        return one.is_nan() and other.is_nan()
    return one == other


def _decimals(value: object) -> list[Decimal]:
    """The decimal numbers that `value` may mean; none for what is no number."""
    match value:
        case bool():
            return []
        case int() | Decimal():
            return [Decimal(value)]
        case float():
            return [Decimal(repr(value)), Decimal(value)]
        case str() if _NUMBER.fullmatch(value):
            return [Decimal(value)]
        case str() if value.lower() in _NOT_FINITE:
            return [Decimal(_NOT_FINITE[value.lower()])]
        case _:
            return []


def _number_text(value: Decimal) -> str:
    if value.is_nan():
        return "NaN"
    if value.is_infinite():
        return "Infinity" if value > 0 else "-Infinity"
    return str(value)


def _seconds(value: timedelta) -> Decimal:
    whole = value.days * 86_400 + value.seconds
    return Decimal(whole) + Decimal(value.microseconds) / 1_000_000 if value.microseconds else Decimal(whole)


def _utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    try:
        return value.astimezone(UTC)
    except OverflowError:  # the first or last hours that a datetime can hold, with an offset
        return value


def _same_moment(one: datetime, other: object) -> bool:
    if isinstance(other, str):
        other = _datetime(other)
    return isinstance(other, datetime) and _utc(one) == _utc(other)


def _datetime(text: str) -> datetime | None:
    """Only texts with a date and a time: a bare date is another value."""
    try:
        return datetime.fromisoformat(text) if len(text) > len("2026-01-31") else None
    except ValueError:
        return None


def _time(text: str) -> time | None:
    try:
        return time.fromisoformat(text)
    except ValueError:
        return None


def _uuid(text: str) -> UUID | None:
    return UUID(text) if _UUID.fullmatch(text) else None


def _parsed(value: object) -> object:
    """JSON kept as text, parsed; anything else plain."""
    if not isinstance(value, str):
        return value
    try:
        parsed: object = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return parsed


_COMPARERS: tuple[tuple[type | tuple[type, ...], Callable[[Any, object], bool]], ...] = (
    ((int, float, Decimal), _same_number),
    (UUID, _same_uuid),
    (datetime, _same_moment),
    (date, _same_date),
    (time, _same_time),
    (timedelta, _same_interval),
    (bytes, _same_bytes),
    (dict, _same_object),
    (list, _same_list),
)
