"""What the overview's signals say: canary, lag, queues, workers, stuck records. And that a clock runs again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from django.db.models import F, QuerySet

from monitoring.alerts.conditions.condition import Condition, Gone, Watched
from monitoring.pipeline.models import SignalState
from opsconsole.tones import Tone

AT_ONCE = timedelta(0)
SETTLED = timedelta(seconds=60)
"""A deployment, or a burst, takes a queue, the workers or the lag over their limits for some seconds."""

LASTS = {
    "canary": ("drift_canary", AT_ONCE),
    "lag": ("consumer_lag", SETTLED),
    "queues": ("queue_limit", SETTLED),
    "workers": ("worker_missing", SETTLED),
    "records.stuck": ("stuck_records", AT_ONCE),
}
"""Signal to alert type, and for how long it has to last."""

FINE = (Tone.FINE.value, Tone.WORKING.value)
TITLE_LENGTH = 160


def wrong(name: str, lasts: timedelta, now: datetime) -> QuerySet[SignalState]:
    bad = SignalState.objects.filter(name=name, tone=Tone.PROBLEM, since__lte=now - lasts)
    return bad.annotate(about=F("name"))


def condition(row: SignalState) -> Condition:
    title = title_of(row.sentence)
    more = row.sentence.removeprefix(title).lstrip(". ")
    seen = {"more": more, "limit": "" if row.limit == "none" else row.limit}
    return Condition(row.name, title, row.action_address or row.address, seen)


def title_of(sentence: str) -> str:
    """Its first sentence."""
    first = sentence.partition(". ")[0].rstrip(".")
    return first if len(first) <= TITLE_LENGTH else f"{first[: TITLE_LENGTH - 1]}…"


def gone(name: str, subjects: Sequence[str], now: datetime) -> Mapping[str, Gone]:
    """Over only where it is known to be fine. Where nothing is known it stays open; a queue that somebody paused is
    what somebody wanted."""
    row = SignalState.objects.filter(name=name).first()
    if row is not None and row.tone in FINE:
        return {subject: Gone(row.sentence) for subject in subjects}
    if row is not None and name == "queues" and row.tone == Tone.WAITING:
        return {subject: Gone(row.sentence, silently=True) for subject in subjects}
    return {}


def clock_runs(subjects: Sequence[str], now: datetime) -> Mapping[str, Gone]:
    """Whoever asks this is a clock."""
    return {subject: Gone("A clock is running again.") for subject in subjects}


WATCHED = (
    *(
        Watched(kind, name, partial(wrong, name, lasts), condition, partial(gone, name))
        for name, (kind, lasts) in LASTS.items()
    ),
    Watched(
        "clock_silent", "", lambda now: SignalState.objects.none().annotate(about=F("name")), condition, clock_runs
    ),
)
