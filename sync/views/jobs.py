"""Jobs: the list, the same errors together, one job live, its log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from opsconsole.access import Scoping, requires
from opsconsole.downloads import download
from opsconsole.keyset import capped_count
from sync.access import CANCEL, RUN, SKIP, VIEW
from sync.byhand_links import by_hand_address
from sync.error_groups import error_groups
from sync.job_form import JobFilter
from sync.looping import UNFINISHED
from sync.models import Attempt, AttemptOutcome, Job, JobState
from sync.operations import bulk
from sync.operations import jobs as operations
from sync.operations.events import event_lines
from sync.reading import drift_of, ladder_of, latest_events, listed_jobs, pace_of, tasks_of, whole_jobs
from sync.standing import standing_of
from sync.tables import (
    AttemptTable,
    DriftTable,
    ErrorTable,
    JobTable,
    LadderTable,
    PickableJobTable,
    RangeTable,
    SetAsideTable,
)

ATTEMPTS_SHOWN = 50
DRIFT_SHOWN = 10
SET_ASIDE_SHOWN = 50
ACTS = (CANCEL, RUN, SKIP)
DIED = (AttemptOutcome.KILLED, AttemptOutcome.VANISHED)
LOOPED_SHOWN = 5


@require_safe
@requires(VIEW, scoping=Scoping.NARROWED)
def job_list(request: HttpRequest) -> HttpResponse:
    form = JobFilter(request.GET)
    if not form.is_valid():
        return render(request, "sync/jobs.html", {"form": form}, status=400)
    rows = form.narrow(listed_jobs())
    may_act = any(request.user.has_perm(needed.name) for needed in ACTS)
    table_class = PickableJobTable if may_act else JobTable
    content = {
        "form": form,
        "table": table_class.from_request(request, rows, label="Jobs", total=capped_count(rows)),
        "filtered": form.asked,
        "may_act": may_act,
        "most": bulk.MOST,
    }
    if organization := form.cleaned_data["organization"]:
        content["standing"] = standing_of(organization)
    return render(request, "sync/jobs.html", content)


@require_safe
@requires(VIEW, scoping=Scoping.NARROWED)
def error_list(request: HttpRequest) -> HttpResponse:
    """The errors that jobs have now, the same ones together, each with a link to its jobs."""
    groups, more = error_groups()
    content = {"table": ErrorTable(groups, label="Same errors", request=request), "more": more}
    return render(request, "sync/job_errors.html", content)


@require_safe
@requires(VIEW, scoping=Scoping.NARROWED)
def job_page(request: HttpRequest, number: int) -> HttpResponse:
    return render(request, "sync/job.html", job_content(request, number))


@require_safe
@requires(VIEW, scoping=Scoping.NARROWED)
def job_live(request: HttpRequest, number: int) -> HttpResponse:
    """The live part of the job's page, again. With the header's parts where the state is not the one seen before."""
    content = job_content(request, number)
    content["state_changed"] = request.headers.get("Seen-State") != content["job"].state
    return render(request, "sync/job_live.html", content)


def job_content(request: HttpRequest, number: int) -> dict[str, Any]:
    """What the page and its live part show. Up to nine queries."""
    job = get_object_or_404(whole_jobs(), pk=number)
    attempts = list(job.attempts.order_by("-pk")[:ATTEMPTS_SHOWN])
    ranges = list(job.ranges.order_by("number"))
    aside = list(job.set_aside_tasks.order_by("pk")[:SET_ASIDE_SHOWN]) if job.set_aside else []
    drift = list(drift_of(job).order_by("-pk")[:DRIFT_SHOWN]) if job.drift_found else []
    return {
        "job": job,
        "pace": pace_of(job, attempts, timezone.now()),
        "set_aside": SetAsideTable(aside, label="Set aside", request=request) if aside else None,
        "ranges": RangeTable(ranges, label="Ranges", request=request) if ranges else None,
        "attempts": AttemptTable(attempts, label="Attempts", request=request),
        "deaths": deaths_of(job, attempts),
        "drift": DriftTable(drift, label="Latest drift", request=request) if drift else None,
        "ladder": LadderTable(ladder_of(job), label="Ending it", request=request),
        "events": latest_events(job),
        "tasks": tasks_of(job),
        "can_retry": job.status in operations.RETRYABLE,
        "by_hand": by_hand_address(job),
    }


def deaths_of(job: Job, attempts: Sequence[Attempt]) -> list[Attempt]:
    """What repeated when the job was found looping, oldest first: the attempts in a row that died at its checkpoint,
    or the last ones that came to nothing. `attempts` are the newest first."""
    if job.status is not JobState.LOOPING:
        return []
    leading = [attempt for attempt in attempts if not attempt.range_number]
    dead = [attempt for attempt in leading if attempt.status in DIED][: job.stalled_attempts]
    if len(dead) < settings.LOOPING_ATTEMPTS:
        dead = [attempt for attempt in leading if attempt.status in UNFINISHED][:LOOPED_SHOWN]
    return dead[::-1]


@require_safe
@requires(VIEW, scoping=Scoping.NARROWED)
def events_text(request: HttpRequest, number: int) -> StreamingHttpResponse:
    job = get_object_or_404(Job.objects.only("pk"), pk=number)
    return download(request, f"job:{job.pk}", f"job-{job.pk}-events.txt", _lines(job))


def _lines(job: Job) -> Iterator[str]:
    for line in event_lines(job):
        yield f"{line}\n"
