"""Durations and sizes as an estate file writes them."""

from __future__ import annotations

import re

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
BYTES = {"B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}

DURATION_FORMS = 'a duration such as "500ms", "30s", "2m" or "1h", or a number of seconds'
SIZE_FORMS = 'a size such as "512MiB" or "1GiB", or a number of bytes'

_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)", re.ASCII)


def seconds(value: object) -> float:
    """`value` in seconds. Raises ValueError where it is no duration."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    return _quantity(value, SECONDS)


def size(value: object) -> int:
    """`value` in bytes. Raises ValueError where it is no size."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(_quantity(value, BYTES))


def _quantity(value: object, units: dict[str, float] | dict[str, int]) -> float:
    match = _QUANTITY.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or match[2] not in units:
        raise ValueError(value)
    return float(match[1]) * units[match[2]]
