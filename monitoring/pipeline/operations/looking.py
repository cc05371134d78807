"""The clock's look at all signals of the overview: read, keep the trend by the minute, and since when it is so."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from django.db import transaction

from monitoring.pipeline import samples
from monitoring.pipeline.models import SignalState
from opsconsole.errors import ConsoleError
from opsconsole.overview import OverviewSignal, Reading, overview_signals

logger = logging.getLogger(__name__)

WRITTEN = [field.name for field in SignalState._meta.fields if not field.primary_key]


def subject_of(name: str) -> str:
    return f"signal:{name}"


def look_at_signals(now: datetime) -> int:
    """Read every declared signal and keep it; drop those that are no more. Returns how many there are.

    Four statements beside those that the signals ask: it is done all day long.
    """
    kept: list[str] = []
    readings: dict[str, Reading] = {}
    for signal in overview_signals():
        reading, there = _read(signal, now)
        if there:
            kept.append(signal.name)
        if reading:
            readings[signal.name] = reading
    with transaction.atomic():
        before = SignalState.objects.select_for_update().in_bulk(list(readings))
        rows = [SignalState(name=name, **_fields(one, before.get(name), now)) for name, one in readings.items()]
        SignalState.objects.bulk_create(rows, update_conflicts=True, unique_fields=["name"], update_fields=WRITTEN)
        SignalState.objects.exclude(pk__in=kept).delete()
    minute = now.replace(second=0, microsecond=0)
    samples.keep_all({subject_of(name): {"value": one.value} for name, one in readings.items()}, minute)
    return len(kept)


def _read(signal: OverviewSignal, now: datetime) -> tuple[Reading | None, bool]:
    """Its reading, and whether there is such a signal here. One that cannot be read stays as it was, and its age
    tells."""
    try:
        reading = signal.read(now)
    except ConsoleError as error:
        logger.warning("the signal %s could not be read: %s", signal.name, error)
        return None, True
    return reading, reading is not None


def _fields(reading: Reading, before: SignalState | None, now: datetime) -> dict[str, Any]:
    unchanged = before is not None and before.tone == reading.tone.value
    since = reading.since or (before.since if before and unchanged else now)
    return {
        "tone": reading.tone.value,
        "since": since,
        "looked_at": now,
        "shown": reading.shown,
        "sentence": reading.sentence,
        "limit": reading.limit,
        "limit_value": reading.limit_value,
        "address": reading.address,
        "action": reading.action,
        "action_address": reading.action_address,
    }
