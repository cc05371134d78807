"""Measuring, once an hour, how long records usually take to be past each status."""

from __future__ import annotations

from datetime import datetime, timedelta

from monitoring.records.guide import Guide
from monitoring.records.models import UsualTimes
from monitoring.records.operations.snapshots import LONGEST
from monitoring.records.query import RecordTable
from monitoring.records.standing import record_sources
from monitoring.records.usual import usual_times
from opsconsole.errors import ConsoleError
from opsconsole.estate.model import RecordSource

EVERY = timedelta(hours=1)


def measure_due(now: datetime) -> bool:
    """Measure one source that is due. False where none is."""
    sources = _due(now)
    if sources:
        measure(sources[0], now)
    return bool(sources)


def one_is_due(now: datetime) -> bool:
    """One query."""
    return bool(_due(now))


def _due(now: datetime) -> list[RecordSource]:
    """Sources that keep no last change have no usual times."""
    fresh = set(UsualTimes.objects.filter(measured_at__gt=now - EVERY).values_list("source", flat=True))
    return [one for one in record_sources() if one.updated_at and one.name not in fresh]


def measure(source: RecordSource, now: datetime) -> None:
    """Keep the usual times of now. Where they cannot be told, those of before stay, with the reason."""
    row = UsualTimes.objects.filter(pk=source.name).first() or UsualTimes(source=source.name)
    row.measured_at, row.error = now, ""
    try:
        with RecordTable(source, LONGEST) as table:
            row.seconds = usual_times(table.steps(now), Guide(source))
    except ConsoleError as error:
        row.error = str(error)
    row.save()
