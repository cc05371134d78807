"""Jobs: the list, one job live, its log, cancel and retry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from opsconsole.access import requires
from opsconsole.audit import actor_of
from opsconsole.errors import ConsoleError
from opsconsole.keyset import capped_count
from sync.access import CANCEL, RUN, VIEW
from sync.forms import ACTIVE, JobFilter, ReasonForm, refused_into
from sync.models import Job, JobState
from sync.models.job import ACTIVE_STATES
from sync.operations import jobs as operations
from sync.operations.events import event_lines
from sync.reading import latest_events, listed_jobs, pace_of, tasks_of, whole_jobs
from sync.tables import AttemptTable, DriftTable, JobTable

ATTEMPTS_SHOWN = 50
DRIFT_SHOWN = 10


@require_safe
@requires(VIEW)
def job_list(request: HttpRequest) -> HttpResponse:
    form = JobFilter(request.GET)
    if not form.is_valid():
        return render(request, "sync/jobs.html", {"form": form}, status=400)
    rows = _matching(form)
    table = JobTable.from_request(request, rows, label="Jobs", total=capped_count(rows))
    filtered = any(form.cleaned_data.values())
    return render(request, "sync/jobs.html", {"form": form, "table": table, "filtered": filtered})


def _matching(form: JobFilter) -> QuerySet[Job]:
    rows, wanted = listed_jobs(), form.cleaned_data
    if wanted["state"]:
        rows = rows.filter(state__in=ACTIVE_STATES if wanted["state"] == ACTIVE else [wanted["state"]])
    for field, value in (
        ("kind", wanted["kind"]),
        ("organization_id", wanted["organization"]),
        ("batch_id", wanted["batch"]),
    ):
        if value:
            rows = rows.filter(**{field: value})
    return rows


@require_safe
@requires(VIEW)
def job_page(request: HttpRequest, number: int) -> HttpResponse:
    return render(request, "sync/job.html", job_content(request, number))


@require_safe
@requires(VIEW)
def job_live(request: HttpRequest, number: int) -> HttpResponse:
    """The live part of the job's page, again. With the header's parts where the state is not the one seen before."""
    content = job_content(request, number)
    content["state_changed"] = request.headers.get("Seen-State") != content["job"].state
    return render(request, "sync/job_live.html", content)


def job_content(request: HttpRequest, number: int) -> dict[str, Any]:
    """What the page and its live part show. Up to five queries."""
    job = get_object_or_404(whole_jobs(), pk=number)
    attempts = list(job.attempts.order_by("-number")[:ATTEMPTS_SHOWN])
    drift = list(job.drift.order_by("-pk")[:DRIFT_SHOWN]) if job.drift_found else []
    return {
        "job": job,
        "pace": pace_of(job, attempts, timezone.now()),
        "attempts": AttemptTable(
            attempts,
            label="Attempts",
            request=request,
            exclude=() if any(attempt.error for attempt in attempts) else ("error",),
        ),
        "drift": DriftTable(drift, label="Latest drift", request=request) if drift else None,
        "events": latest_events(job),
        "tasks": tasks_of(job),
        "can_retry": job.status in operations.RETRYABLE,
    }


@require_safe
@requires(VIEW)
def events_text(request: HttpRequest, number: int) -> StreamingHttpResponse:
    job = get_object_or_404(Job.objects.only("pk"), pk=number)
    response = StreamingHttpResponse(_lines(job), content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="job-{job.pk}-events.txt"'
    return response


def _lines(job: Job) -> Iterator[str]:
    for line in event_lines(job):
        yield f"{line}\n"


@require_http_methods(["GET", "HEAD", "POST"])
@requires(CANCEL)
def cancel_job(request: HttpRequest, number: int) -> HttpResponse:
    """Ask for a reason, then cancel."""
    job = get_object_or_404(whole_jobs(), pk=number)
    form = ReasonForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        with refused_into(form):
            state = operations.cancel(job, actor_of(request), form.cleaned_data["reason"])
            messages.success(request, _cancelled(job, state))
            return redirect("sync:job", job.pk)
    return render(request, "sync/job_cancel.html", {"job": job, "form": form}, status=400 if form.errors else 200)


def _cancelled(job: Job, state: JobState) -> str:
    if state is JobState.CANCELLED:
        return f"Job {job.pk} is cancelled."
    return f"Job {job.pk} was asked to stop; it ends at its next checkpoint."


@require_POST
@requires(RUN)
def retry_job(request: HttpRequest, number: int) -> HttpResponseRedirect:
    job = get_object_or_404(whole_jobs(), pk=number)
    try:
        operations.retry(job, actor_of(request))
    except ConsoleError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"Job {job.pk} is queued again and goes on from its checkpoint.")
    return redirect("sync:job", job.pk)
