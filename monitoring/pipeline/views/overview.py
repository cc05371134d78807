"""The first page: is anything wrong, since when, how bad, what to do. All from rows that the clock keeps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from monitoring.pipeline import limits, samples
from monitoring.pipeline.access import VIEW
from monitoring.pipeline.drift import drift_now, query_values
from monitoring.pipeline.models import SignalState
from monitoring.pipeline.operations.looking import subject_of
from monitoring.pipeline.samples import Kept
from opsconsole.access import requires
from opsconsole.audit import Door
from opsconsole.charts import LineChart, line_chart
from opsconsole.models import AuditEntry, Lease
from opsconsole.overview import OverviewSignal, overview_signals
from opsconsole.tones import Tone
from sync.models.states import HELD_STATES
from sync.reading import listed_jobs
from sync.tables import JobTable

TREND = timedelta(hours=3)
RUNNING_SHOWN = 10
ACTS_SHOWN = 10
ACTS_LOOKED_AT = 200
CLOCK_LATE = timedelta(minutes=1)
HEADLINES = {
    Tone.PROBLEM: "{count} of {all} signals say that something is wrong",
    Tone.WAITING: "Nothing is wrong; {count} of {all} signals wait for something",
}


@dataclass(frozen=True, slots=True)
class SignalRow:
    """One signal with its trend."""

    signal: OverviewSignal
    state: SignalState
    chart: LineChart


@require_safe
@requires(VIEW)
def overview(request: HttpRequest) -> HttpResponse:
    return render(request, "pipeline/overview.html", content(request))


@require_safe
@requires(VIEW)
def overview_live(request: HttpRequest) -> HttpResponse:
    return render(request, "pipeline/overview_live.html", content(request))


def content(request: HttpRequest) -> dict[str, Any]:
    """Up to nine queries, each of a bounded number of rows by an index, whatever there is."""
    now = timezone.now()
    rows = signal_rows(now)
    drift = drift_now(limits.current().canary_limit)
    running = listed_jobs().filter(state__in=HELD_STATES).order_by("-pk")[:RUNNING_SHOWN]
    return {
        "rows": rows,
        "headline": headline(rows),
        "find": query_values(drift.window) if drift.window else None,
        "clock": clock_trouble(now),
        "running": JobTable(list(running), label="Running now", request=request),
        "acts": people_did(),
    }


def people_did() -> list[AuditEntry]:
    """The newest acts of people, among the last two hundred acts of anybody. One query."""
    newest = AuditEntry.objects.order_by("-pk")[:ACTS_LOOKED_AT]
    return [act for act in newest if act.door not in (Door.CLOCK, Door.WORKER)][:ACTS_SHOWN]


def signal_rows(now: datetime) -> list[SignalRow]:
    """The signals that the clock has looked at, in their order. Two queries."""
    states = {state.name: state for state in SignalState.objects.all()}
    known = [signal for signal in overview_signals() if signal.name in states]
    history = samples.since(now - TREND, *(subject_of(signal.name) for signal in known))
    return [
        SignalRow(
            signal, states[signal.name], _chart(signal, states[signal.name], history[subject_of(signal.name)], now)
        )
        for signal in known
    ]


def _chart(signal: OverviewSignal, state: SignalState, history: list[Kept], now: datetime) -> LineChart:
    label = f"{signal.label} over the last three hours"
    points = samples.points(history, "value")
    return line_chart(label, points, now - TREND, now, gap=samples.GAP, limit=state.limit_value)


def headline(rows: list[SignalRow]) -> tuple[Tone, str]:
    """The worst tone, and what to say of it."""
    for tone, text in HEADLINES.items():
        if count := sum(row.state.tone == tone for row in rows):
            return tone, text.format(count=count, all=len(rows))
    return Tone.FINE, "Everything is as it should be"


def clock_trouble(now: datetime) -> str:
    """Why what stands on the page may be old; empty where a clock runs. One query."""
    beat = Lease.objects.filter(name="clock").values_list("beat_at", flat=True).first()
    if beat is None:
        return "No clock has ever run here, so nothing is looked at: start one (python manage.py clock)."
    if now - beat > CLOCK_LATE:
        return "No clock runs, so nothing is looked at: what stands here is old. Start one (python manage.py clock)."
    return ""
