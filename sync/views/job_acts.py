"""What people do to one job: cancel, retry, skip its organization."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from opsconsole.access import requires
from opsconsole.audit import actor_of
from opsconsole.errors import ConsoleError
from sync.access import CANCEL, RUN, SKIP
from sync.by_hand_links import by_hand_address
from sync.forms import ReasonForm, SkipForm, refused_into
from sync.models import Job, JobState, SkippedOrganization, SkipReason
from sync.operations import jobs as operations
from sync.operations.skipping import skip_job as skip_by_job
from sync.reading import whole_jobs


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


@require_http_methods(["GET", "HEAD", "POST"])
@requires(SKIP)
def skip_job(request: HttpRequest, number: int) -> HttpResponse:
    """Say what follows, ask for a reason, then stop the job and put its organization on the skip list."""
    job = get_object_or_404(whole_jobs(), pk=number)
    form = SkipForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        with refused_into(form):
            why = SkipReason(form.cleaned_data["why"])
            result = skip_by_job(job, why, form.cleaned_data["reason"], actor_of(request))
            messages.success(request, result.sentence())
            return redirect("sync:job", job.pk)
    content = {
        "job": job,
        "form": form,
        "by_hand": by_hand_address(job),
        "entry": SkippedOrganization.objects.open().filter(organization_id=job.organization_id).first(),
    }
    return render(request, "sync/job_skip.html", content, status=400 if form.errors else 200)
