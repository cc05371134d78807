"""One run: how it stands, why there is one, and its log, live."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from monitoring.schedules.access import VIEW
from monitoring.schedules.models import Run
from opsconsole.access import requires

LINES_SHOWN = 500


@require_safe
@requires(VIEW)
def run_page(request: HttpRequest, number: int) -> HttpResponse:
    return render(request, "schedules/run.html", content_of(number))


@require_safe
@requires(VIEW)
def run_live(request: HttpRequest, number: int) -> HttpResponse:
    return render(request, "schedules/run_live.html", content_of(number))


def content_of(number: int) -> dict[str, Any]:
    """Three queries."""
    run = get_object_or_404(Run.objects.select_related("scheduled_job"), pk=number)
    together = Run.objects.filter(trace_id=run.trace_id).exclude(pk=run.pk).select_related("scheduled_job")
    return {
        "run": run,
        "job": run.scheduled_job,
        "together": list(together.order_by("pk")[:50]),
        "events": list(run.events.order_by("-pk")[:LINES_SHOWN])[::-1],
    }
