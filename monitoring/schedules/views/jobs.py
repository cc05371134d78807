"""Scheduled jobs: the list, one with its next due times and its runs, and these as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from monitoring.schedules.access import VIEW
from monitoring.schedules.forms import RunFilter
from monitoring.schedules.models import Run, RunState, ScheduledJob
from monitoring.schedules.operations.asking import following_of
from monitoring.schedules.tables import JobTable, RunTable
from monitoring.schedules.views.common import job_or_404, missed_runs, next_due_times, with_last_run
from opsconsole.access import requires
from opsconsole.charts import BarChart, bar_chart
from opsconsole.downloads import csv_download
from opsconsole.keyset import capped_count
from opsconsole.words import counted, duration, machine_time, utc

CHART_RUNS = 50
CSV_ROWS = 100_000
CSV_HEADER = (
    *("run", "due_at", "state", "trigger", "requested_by", "attempts", "started_at", "ended_at", "seconds"),
    *("result", "error", "cause"),
)


@require_safe
@requires(VIEW)
def job_list(request: HttpRequest) -> HttpResponse:
    table = JobTable.from_request(request, with_last_run(ScheduledJob.objects.all()), label="Scheduled jobs")
    jobs: Sequence[Any] = table.keyset.rows if table.keyset else ()
    last = Run.objects.in_bulk([job.last_id for job in jobs if job.last_id])
    for job in jobs:
        job.last = last.get(job.last_id)
    content = {"table": table, "missed": capped_count(missed_runs()), "tab": "jobs"}
    return render(request, "schedules/jobs.html", content)


@require_safe
@requires(VIEW)
def job_page(request: HttpRequest, name: str) -> HttpResponse:
    job = job_or_404(name)
    form = RunFilter(request.GET)
    content: dict[str, Any] = {
        "job": job,
        "form": form,
        "next": next_due_times(job),
        "following": following_of(job),
    }
    if not form.is_valid():
        return render(request, "schedules/job.html", content, status=400)
    rows = form.narrow(Run.objects.filter(scheduled_job=job).select_related("scheduled_job"))
    content["table"] = RunTable.from_request(request, rows, label="Runs", total=capped_count(rows))
    content["lasted"] = list(_ended(job))
    content["chart"] = chart_of(content["lasted"])
    return render(request, "schedules/job.html", content)


def _ended(job: ScheduledJob) -> list[Run]:
    """Its last runs that ended, the oldest first."""
    ended = Run.objects.filter(scheduled_job=job, state__in=(RunState.DONE, RunState.FAILED), started_at__isnull=False)
    return list(reversed(ended.order_by("-pk")[:CHART_RUNS]))


def chart_of(runs: Sequence[Run]) -> BarChart | None:
    """How long each took, in seconds; None where there is nothing to draw."""
    if not runs:
        return None
    longest = max(run.seconds or 0.0 for run in runs)
    bars = [(f"{utc(run.due_at)} UTC: {duration(run.seconds)}, {run.status.label}", run.seconds or 0.0) for run in runs]
    return bar_chart(f"Duration of the last {counted(len(runs), 'run')}: {duration(longest)} at most", bars)


@require_safe
@requires(VIEW)
def runs_csv(request: HttpRequest, name: str) -> HttpResponse | StreamingHttpResponse:
    """The runs as the page's filter has them, the newest first, a hundred thousand at most."""
    job = job_or_404(name)
    form = RunFilter(request.GET)
    if not form.is_valid():
        return render(request, "schedules/job.html", {"job": job, "form": form}, status=400)
    runs = form.narrow(Run.objects.filter(scheduled_job=job)).order_by("-pk")[:CSV_ROWS]
    rows = _csv_rows(runs.iterator(chunk_size=2_000))
    return csv_download(request, f"scheduled_job:{job.name}", f"runs-of-{job.name}.csv", CSV_HEADER, rows)


def _csv_rows(runs: Iterator[Run]) -> Iterator[Sequence[object]]:
    for run in runs:
        times = [machine_time(at) if at else "" for at in (run.started_at, run.ended_at)]
        lasted = "" if run.seconds is None else run.seconds
        yield (
            *(run.pk, machine_time(run.due_at), run.state, run.trigger, run.requested_by, run.attempt, *times, lasted),
            *(run.result, run.error, run.cause),
        )
