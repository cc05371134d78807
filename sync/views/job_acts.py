"""What people do to one job: end it, retry it, skip its organization."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from opsconsole.access import Scoping, requires
from opsconsole.audit import actor_of
from opsconsole.errors import ConsoleError
from sync.access import CANCEL, RUN, SKIP
from sync.byhand_links import by_hand_address
from sync.forms import SkipForm, StepForm, refused_into
from sync.models import Job, JobState, SkippedOrganization, SkipReason, Step
from sync.operations import jobs as operations
from sync.operations.ladder import climb
from sync.operations.skipping import skip_job as skip_by_job
from sync.reading import current_attempt, whole_jobs


@require_http_methods(["GET", "HEAD", "POST"])
@requires(CANCEL, scoping=Scoping.NARROWED)
def end_job(request: HttpRequest, number: int, step: Step) -> HttpResponse:
    """Say what would happen, ask for a reason, then take this step of the ladder: cancel, stop or kill."""
    job = get_object_or_404(whole_jobs(), pk=number)
    form = StepForm(request.POST) if request.method == "POST" else StepForm(initial={"attempt": job.fence})
    if form.is_valid():
        with refused_into(form):
            fence = None if step is Step.CANCEL else form.cleaned_data["attempt"]
            state = climb(job, step, actor_of(request), form.cleaned_data["reason"], fence=fence)
            messages.success(request, _ended(job, step, state))
            return redirect("sync:job", job.pk)
    content = {"job": job, "form": form, "step": step, "attempt": current_attempt(job)}
    return render(request, "sync/job_end.html", content, status=400 if form.errors else 200)


def _ended(job: Job, step: Step, state: JobState) -> str:
    if state is JobState.CANCELLED:
        return f"Job {job.pk} is cancelled."
    asked = {
        Step.CANCEL: "was asked to stop; it ends at its next checkpoint",
        Step.STOP: "is being interrupted",
        Step.KILL: "is being killed",
    }
    return f"Job {job.pk} {asked[step]}."


@require_POST
@requires(RUN, scoping=Scoping.NARROWED)
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
@requires(SKIP, scoping=Scoping.NARROWED)
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
