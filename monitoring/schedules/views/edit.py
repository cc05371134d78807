"""Adding and changing scheduled jobs that people keep; those of the estate file are changed there."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from monitoring.schedules.access import CHANGE
from monitoring.schedules.forms import JobForm
from monitoring.schedules.models import ScheduledJob
from monitoring.schedules.operations.defining import add_job, change_job
from monitoring.schedules.operations.saving import change, require_possible
from monitoring.schedules.views.common import job_or_404, next_due_times
from opsconsole.access import requires
from opsconsole.audit import actor_of
from opsconsole.due import Due
from opsconsole.errors import ConsoleError, UsageError


@require_http_methods(["GET", "HEAD", "POST"])
@requires(CHANGE)
def add(request: HttpRequest) -> HttpResponse:
    return _edit(request, None)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(CHANGE)
def edit(request: HttpRequest, name: str) -> HttpResponse:
    return _edit(request, job_or_404(name))


def _edit(request: HttpRequest, job: ScheduledJob | None) -> HttpResponse:
    """`look` in the form shows the next due times and saves nothing."""
    form = JobForm(request.POST if request.method == "POST" else None, job=job)
    content: dict[str, Any] = {"form": form, "job": job}
    if form.is_valid():
        try:
            if "look" in request.POST:
                content["next"] = _due_times(form)
            else:
                return redirect("schedules:job", _save(request, form, job))
        except ConsoleError as error:
            form.add_error("cron" if form.cleaned_data["cron"] and "cron" in str(error) else None, str(error))
    return render(request, "schedules/edit.html", content, status=400 if form.errors else 200)


def _save(request: HttpRequest, form: JobForm, job: ScheduledJob | None) -> str:
    """The job's name. Raises UsageError."""
    if job is None:
        job = add_job(form.cleaned_data["name"], form.values(), actor_of(request), timezone.now())
        messages.success(request, f"{job.name} is added.")
    else:
        changed = change_job(job, form.values(), actor_of(request), timezone.now())
        messages.success(request, f"{job.name} is changed." if changed else "Nothing was changed.")
    return job.name


def _due_times(form: JobForm) -> list[Due]:
    """Of a job that is not saved. Raises UsageError where it cannot be used."""
    job = ScheduledJob(name=form.cleaned_data.get("name", ""))
    change(job, form.values(), timezone.now(), new=True)
    require_possible(job)
    found = next_due_times(job)
    if not found:
        raise UsageError("The schedule has no next due time.")
    return found
