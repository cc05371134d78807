"""What a worker runs. Thin: claim, perform, record."""

from __future__ import annotations

from monitoring.schedules.models import Run
from monitoring.schedules.operations import running
from opsconsole import spans, trace
from sync.operations.workers import this_process


def run_scheduled(run_id: int) -> str:
    """RQ's entry point: run the run `run_id`. A claim that is lost is a quiet return."""
    run = Run.objects.claim(run_id, this_process())
    if run is None:
        return "not claimed"
    with trace.under(run.trace_id), spans.span("run", {"opsconsole.run": run.pk}):
        return running.run_claimed(run)
