"""Tags of the sync pages."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django import template

from opsconsole import estate
from opsconsole.visible import cut
from sync import customers
from sync.engine.compare import ORGANIZATION_FIELD
from sync.models import Drift

LONGEST_VALUE = 2_000
"""Characters of a value on a page. The whole of it is in the API."""

MADE_UP_NAME = re.compile(r"[0-9a-f]{32}")

register = template.Library()
register.filter("shown_id", customers.shown_id)
register.filter("customer_page", customers.customer_page)


@dataclass(frozen=True, slots=True)
class FieldSides:
    """One compared field of a drifted task, as each side has it, in words."""

    name: str
    index: str
    source: str
    in_index: bool
    in_source: bool


@register.filter
def differing(drift: Drift) -> list[FieldSides]:
    """The fields that differ; where one side lacks the task, what the other one has."""
    index, source = drift.index or {}, drift.source or {}
    names = drift.fields or _telling(source or index)
    in_index, in_source = drift.index is not None, drift.source is not None
    return [FieldSides(name, _text(index.get(name)), _text(source.get(name)), in_index, in_source) for name in names]


@register.filter
def agreeing(drift: Drift) -> list[FieldSides]:
    """The fields of a stale task that are the same on both sides."""
    if drift.index is None or drift.source is None:
        return []
    same = [name for name in _telling(drift.source) if name not in drift.fields and name in drift.index]
    return [FieldSides(name, _text(drift.index[name]), _text(drift.source[name]), True, True) for name in same]


def _telling(values: dict[str, object]) -> list[str]:
    """Names of the fields that have a value, in the estate's order. The organization is said elsewhere."""
    compared = estate.current().source.tasks.compare
    known = [name for name in compared if name in values]
    others = [name for name in values if name not in compared and name != ORGANIZATION_FIELD]
    return [name for name in (*known, *others) if values[name] is not None]


@register.filter
def seconds_since(end: datetime | None, start: datetime | None) -> float | None:
    """Seconds from `start` to `end`; None where either has not come yet."""
    return (end - start).total_seconds() if start and end else None


@register.filter
def joined(values: Sequence[object]) -> str:
    """`1,2,3`"""
    return ",".join(map(str, values))


@register.filter
def short_name(worker: str) -> str:
    """A worker's name; of those that RQ makes up, 32 hexadecimal digits, the first eight."""
    return worker[:8] if MADE_UP_NAME.fullmatch(worker) else worker


def _text(value: object) -> str:
    """A JSON value for people: texts bare, except where that would hide what they are. Long ones are cut."""
    if value is None:
        return "empty"
    if isinstance(value, str) and value.strip():
        return cut(value, LONGEST_VALUE)
    return cut(json.dumps(value, ensure_ascii=False), LONGEST_VALUE)
