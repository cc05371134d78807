"""Tags of the pages of the record statuses."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django import template

from monitoring.records.ages import written
from monitoring.records.standing import Standing, Threshold
from opsconsole import postgres, words

register = template.Library()
register.filter("age", written)
register.filter("database_place", postgres.place)


@register.filter
def signed(change: int | None) -> str:
    """`+12`, `0`, or with a minus sign; a dash where there is nothing to compare with."""
    if change is None:
        return words.NOTHING
    sign = "+" if change > 0 else "\N{MINUS SIGN}" if change < 0 else ""
    return f"{sign}{words.number(abs(change))}"


@register.filter
def status_label(status: str, standing: Standing) -> str:
    return standing.guide.kind(status).label


@register.filter
def of_status(thresholds: Mapping[str, Threshold], status: str) -> Threshold | None:
    return thresholds.get(status)


@register.filter
def short_time(moment: datetime) -> str:
    """`1 Mar 14:00 UTC`"""
    return f"{moment.day} {moment:%b %H:%M} UTC"
