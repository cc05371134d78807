"""What people do to a scheduled job: run it now, switch it off and on."""

from __future__ import annotations

from uuid import uuid4

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from monitoring.acting import ask_and_do
from monitoring.schedules.access import CHANGE, RUN
from monitoring.schedules.forms import RunNowForm
from monitoring.schedules.operations.asking import following_of, run_now, sentence_of
from monitoring.schedules.operations.defining import switch
from monitoring.schedules.views.common import job_or_404
from opsconsole.access import requires
from opsconsole.audit import actor_of


@require_http_methods(["GET", "HEAD", "POST"])
@requires(RUN)
def run_job(request: HttpRequest, name: str) -> HttpResponse:
    """Say what will run, in order; then run it. A form that is sent twice is one run."""
    job = job_or_404(name)
    form = RunNowForm(request.POST) if request.method == "POST" else RunNowForm(initial={"key": str(uuid4())})
    if form.is_valid():
        wanted = form.cleaned_data
        asked = run_now(
            job, actor_of(request), following=wanted["following"], reason=wanted["reason"], key=wanted["key"]
        )
        messages.success(request, sentence_of(asked))
        return redirect("schedules:run", asked.first.pk)
    following = following_of(job)
    if not following:
        del form.fields["following"]
    content = {"job": job, "form": form, "following": following}
    return render(request, "schedules/run_now.html", content, status=400 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(CHANGE)
def switch_job(request: HttpRequest, name: str, on: bool) -> HttpResponse:
    job = job_or_404(name)

    def act(reason: str) -> str:
        switch(job, on, actor_of(request), reason, timezone.now())
        return f"{job.name} is {'enabled' if on else 'disabled'}."

    then = reverse("schedules:job", args=[job.name])
    return ask_and_do(request, act, template="schedules/switch.html", then=then, content={"job": job, "on": on})
