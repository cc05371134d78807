"""What `/metrics` tells of jobs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, Metric

from opsconsole.metrics import CAP, counted, counter, gauge, gauges, metrics_of
from sync.engine.rows import DriftKind
from sync.models import Batch, BatchState, Job, JobState, SkippedOrganization, StagedOrganization
from sync.operations.tallies import totals


@metrics_of("jobs")
def jobs(now: datetime) -> Iterator[Metric]:
    """A query for each state, each by its index."""
    states = [(state.value, float(counted(Job.objects.filter(state=state)))) for state in JobState]
    yield gauges("jobs", f"Jobs in each state, counted up to {CAP:,}.", "state", states)
    batches = [
        (state.value, float(counted(Batch.objects.filter(state=state)))) for state in BatchState if not state.terminal
    ]
    yield gauges("batches", f"Batches under way, counted up to {CAP:,}.", "state", batches)
    waiting = counted(StagedOrganization.objects.all())
    yield gauge("staged_organizations", f"Organizations that wait for a batch, counted up to {CAP:,}.", waiting)
    skipped = counted(SkippedOrganization.objects.open())
    yield gauge("skipped_organizations", f"Organizations on the skip list, counted up to {CAP:,}.", skipped)


@metrics_of("repairs")
def repairs(now: datetime) -> Iterator[Metric]:
    """Counters of all that jobs have done; their rates are what people watch."""
    done = totals()
    yield counter("tasks_checked", "Tasks compared between source and index.", done["scanned"])
    drift = CounterMetricFamily("opsconsole_drift_found", "Tasks found out of sync.", labels=["kind"])
    for kind in DriftKind:
        drift.add_metric([kind.value], done[kind.value])
    yield drift
    yield counter("messages_published", "Messages that the broker acknowledged.", done["published"])
    yield counter("drift_repaired", "Published tasks that the index was seen to have.", done["verified"])
    yield counter("drift_unresolved", "Published tasks that the index had not in time.", done["unresolved"])
    yield counter("tasks_set_aside", "Tasks that jobs went on without.", done["set_aside"])
