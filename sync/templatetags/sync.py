"""Tags of the sync pages."""

from __future__ import annotations

import json
from dataclasses import dataclass

from django import template

from sync import customers
from sync.models import Drift

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
    """The fields that differ; where one side lacks the task, all fields of the other."""
    index, source = drift.index or {}, drift.source or {}
    names = drift.fields or [*(source or index)]
    return [
        FieldSides(
            name, _text(index.get(name)), _text(source.get(name)), drift.index is not None, drift.source is not None
        )
        for name in names
    ]


def _text(value: object) -> str:
    """A JSON value for people: texts bare, except where that would hide what they are."""
    if value is None:
        return "empty"
    if isinstance(value, str):
        return value if value.strip() else json.dumps(value)
    return json.dumps(value, ensure_ascii=False)
