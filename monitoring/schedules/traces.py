"""What the schedules know of a trace: its runs."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from django.urls import reverse

from monitoring.schedules.models import Run
from opsconsole import trace


@trace.links_of()
def runs(trace_id: UUID) -> Iterator[trace.Link]:
    found = Run.objects.filter(trace_id=trace_id).select_related("scheduled_job").order_by("pk")
    for run in found[: trace.MOST_SHOWN]:
        what = f"run {run.pk} of {run.scheduled_job.name}"
        sentence = f"{run.get_trigger_display()}: {run.status.label.lower()}{f', {run.result}' if run.result else ''}"
        yield trace.Link(run.created_at, what, sentence, reverse("schedules:run", args=[run.pk]))
