"""What `/metrics` tells of scheduled runs and monitors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from prometheus_client.core import Metric

from monitoring.schedules.models import ACTIVE_RUNS, Monitor, Run, RunState
from monitoring.schedules.pings import Status
from monitoring.schedules.views.common import missed_runs
from opsconsole.metrics import CAP, counted, gauge, gauges, metrics_of

MOST_MONITORS = 1_000


@metrics_of("schedules")
def runs(now: datetime) -> Iterator[Metric]:
    states = [(RunState(state).value, float(counted(Run.objects.filter(state=state)))) for state in ACTIVE_RUNS]
    yield gauges("scheduled_runs", f"Runs under way in each state, counted up to {CAP:,}.", "state", states)
    missed = counted(missed_runs())
    yield gauge("scheduled_runs_missed", f"Missed runs that nobody has settled, counted up to {CAP:,}.", missed)
    statuses = Counter(one.status_at(now) for one in Monitor.objects.order_by("pk")[:MOST_MONITORS])
    figures = [(status.value, float(statuses[status])) for status in Status]
    yield gauges("monitors", f"Monitors in each status, the first {MOST_MONITORS:,}.", "status", figures)
