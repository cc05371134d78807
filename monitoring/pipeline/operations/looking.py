"""The clock's look at all signals of the overview: read, keep the trend by the minute, and since when it is so."""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import transaction

from monitoring.pipeline import samples
from monitoring.pipeline.models import SignalState
from opsconsole.errors import ConsoleError
from opsconsole.overview import OverviewSignal, Reading, overview_signals

logger = logging.getLogger(__name__)


def subject_of(name: str) -> str:
    return f"signal:{name}"


def look_at_signals(now: datetime) -> int:
    """Read every declared signal and keep it; drop those that are no more. Returns how many there are."""
    kept = [signal.name for signal in overview_signals() if _keep(signal, now)]
    SignalState.objects.exclude(pk__in=kept).delete()
    return len(kept)


def _keep(signal: OverviewSignal, now: datetime) -> bool:
    try:
        reading = signal.read(now)
    except ConsoleError as error:  # it stays as it was, and its age tells
        logger.warning("the signal %s could not be read: %s", signal.name, error)
        return True
    if reading is None:
        return False
    with transaction.atomic():
        before = SignalState.objects.select_for_update().filter(pk=signal.name).first()
        SignalState.objects.update_or_create(name=signal.name, defaults=_fields(reading, before, now))
        samples.keep(subject_of(signal.name), now.replace(second=0, microsecond=0), {"value": reading.value})
    return True


def _fields(reading: Reading, before: SignalState | None, now: datetime) -> dict[str, object]:
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
