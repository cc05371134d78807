"""Many jobs at once: those that were ticked, or all that match the list's filter. First a page that says what would be
changed, then the act on exactly those jobs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from opsconsole.access import Scoping, requires
from opsconsole.audit import Actor, actor_of
from opsconsole.errors import UsageError
from sync.access import CANCEL, DELETE, RUN, SKIP
from sync.forms import LARGEST_NUMBER, OptionalReasonForm, ReasonForm, SkipForm, refused_into
from sync.job_form import JobFilter
from sync.models import Job, SkipReason, Step
from sync.operations import bulk
from sync.operations.bulk import Act
from sync.operations.deleting import delete_jobs
from sync.operations.ladder import Target
from sync.operations.skipping import skip_jobs

FOLLOWS = {
    Act.CANCEL: "Jobs that wait are cancelled at once; those that run stop at their next checkpoint. What was "
    "published stays published, and what was found stays listed. A retry goes on from the checkpoint.",
    Act.STOP: "What each waits for is interrupted, its statements at source and index are cancelled, and its process "
    "ends. What was published stays published, and what was found stays listed; a retry goes on from the checkpoint.",
    Act.KILL: "The process of each is killed, and its statements at source and index are cancelled. The open chunk is "
    "lost: a retry goes on from the checkpoint, and may publish that chunk a second time.",
    Act.RETRY: "They go on from their checkpoints, those of a batch at the batch's pace; a batch that had ended is "
    "running again. Of several jobs of one organization the newest runs.",
    Act.SKIP: "Their organizations go on the skip list: batches leave them out until they are taken off it, or a later "
    "job has synced them. Jobs that wait are cancelled; those that run stop at their next checkpoint.",
    Act.DELETE: "Deleted with their attempts, drift and logs, for good. The audit log keeps which jobs they were, and "
    "this reason. What they published stays published.",
}


@dataclass(frozen=True, slots=True)
class Page:
    """One act as a page: its form, and `do`, which acts on these jobs and says what was changed."""

    act: Act
    form: type[forms.Form]
    do: Callable[[tuple[Target, ...], Actor, forms.Form], str]

    @property
    def verb(self) -> str:
        return self.act.capitalize()

    @property
    def follows(self) -> str:
        return FOLLOWS[self.act]

    @property
    def dangerous(self) -> bool:
        return self.act is not Act.RETRY


def _climb(step: Step) -> Callable[[tuple[Target, ...], Actor, forms.Form], str]:
    def do(jobs: tuple[Target, ...], actor: Actor, form: forms.Form) -> str:
        # Who cancels means the job; who stops or kills means the process that has it now.
        meant = [replace(job, fence=None) for job in jobs] if step is Step.CANCEL else jobs
        return bulk.climb_jobs(meant, step, actor, form.cleaned_data["reason"]).sentence(step)

    return do


def _retry(jobs: tuple[Target, ...], actor: Actor, form: forms.Form) -> str:
    return bulk.retry_jobs(_numbers(jobs), actor, form.cleaned_data["reason"]).sentence()


def _skip(jobs: tuple[Target, ...], actor: Actor, form: forms.Form) -> str:
    why = SkipReason(form.cleaned_data["why"])
    return skip_jobs(_numbers(jobs), why, form.cleaned_data["reason"], actor).sentence()


def _delete(jobs: tuple[Target, ...], actor: Actor, form: forms.Form) -> str:
    return delete_jobs(jobs, actor, form.cleaned_data["reason"]).sentence()


def _numbers(jobs: tuple[Target, ...]) -> list[int]:
    return [job.job for job in jobs]


CANCEL_PAGE = Page(Act.CANCEL, ReasonForm, _climb(Step.CANCEL))
STOP_PAGE = Page(Act.STOP, ReasonForm, _climb(Step.STOP))
KILL_PAGE = Page(Act.KILL, ReasonForm, _climb(Step.KILL))
RETRY_PAGE = Page(Act.RETRY, OptionalReasonForm, _retry)
DELETE_PAGE = Page(Act.DELETE, ReasonForm, _delete)
SKIP_PAGE = Page(Act.SKIP, SkipForm, _skip)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(CANCEL, scoping=Scoping.NARROWED)
def cancel(request: HttpRequest) -> HttpResponse:
    return _answer(request, CANCEL_PAGE)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(CANCEL, scoping=Scoping.NARROWED)
def stop(request: HttpRequest) -> HttpResponse:
    return _answer(request, STOP_PAGE)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(CANCEL, scoping=Scoping.NARROWED)
def kill(request: HttpRequest) -> HttpResponse:
    return _answer(request, KILL_PAGE)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(RUN, scoping=Scoping.NARROWED)
def retry(request: HttpRequest) -> HttpResponse:
    return _answer(request, RETRY_PAGE)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(SKIP, scoping=Scoping.NARROWED)
def skip(request: HttpRequest) -> HttpResponse:
    return _answer(request, SKIP_PAGE)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(DELETE, scoping=Scoping.NARROWED)
def delete(request: HttpRequest) -> HttpResponse:
    return _answer(request, DELETE_PAGE)


def _answer(request: HttpRequest, page: Page) -> HttpResponse:
    """GET: all that match the address. POST with `selected`: the ticked ones. Both only ask. POST with `jobs`: act."""
    if request.method != "POST":
        wanted = JobFilter(request.GET)
        if not wanted.is_valid():
            return render(request, "sync/jobs.html", {"form": wanted}, status=400)
        return _ask(request, page, wanted.narrow(Job.objects.all()), page.form(), matching=True)
    if "jobs" in request.POST:
        return _act(request, page, targets(request.POST["jobs"].split(",")))
    ticked = request.POST.getlist("selected")
    if not ticked:
        messages.warning(request, "Nothing was ticked, so nothing was changed.")
        return redirect(_list_address(request))
    return _ask(request, page, Job.objects.filter(pk__in=_numbers(targets(ticked))), page.form())


def _act(request: HttpRequest, page: Page, bound: tuple[Target, ...]) -> HttpResponse:
    form = page.form(request.POST)
    if form.is_valid():
        with refused_into(form):
            messages.success(request, page.do(bound, actor_of(request), form))
            return redirect(_list_address(request))
    return _ask(request, page, Job.objects.filter(pk__in=_numbers(bound)), form)


def _ask(
    request: HttpRequest, page: Page, jobs: QuerySet[Job], form: forms.Form, *, matching: bool = False
) -> HttpResponse:
    content = {
        "page": page,
        "selection": bulk.select(page.act, jobs),
        "form": form,
        "most": bulk.MOST,
        "matching": matching,
        "filtered": matching and any(request.GET.values()),
        "back": _list_address(request),
    }
    return render(request, "sync/job_bulk.html", content, status=400 if form.errors else 200)


def targets(texts: list[str]) -> tuple[Target, ...]:
    """Jobs as a page of ours sends them, a number or number:fence each. Raises UsageError for anything else, too many,
    or one that the person may not see."""
    if len(texts) > bulk.MOST:
        raise UsageError(f"{len(texts):,} jobs are too many at once; allowed are {bulk.MOST:,}. Nothing was changed.")
    parts = [text.partition(":") for text in texts]
    if not all(_is_number(number) and (_is_number(fence) or not colon) for number, colon, fence in parts):
        raise UsageError("The list of jobs that was sent has something that is no job number; nothing was changed.")
    bulk.require_seen(int(number) for number, _, _ in parts)
    return tuple(Target(int(number), int(fence) if colon else None) for number, colon, fence in parts)


def _is_number(text: str) -> bool:
    return len(text) < len(str(LARGEST_NUMBER)) and text.isascii() and text.isdigit()


def _list_address(request: HttpRequest) -> str:
    """The list as it was filtered. The path is ours, only what follows the question mark comes from the request."""
    query = request.GET.copy()
    query.pop("cursor", None)
    return f"{reverse('sync:jobs')}{'?' if query else ''}{query.urlencode()}"
