"""What people do to a batch under way. Each act is a page of its own that says what follows and asks for a reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from opsconsole.access import Scoping, requires
from opsconsole.audit import Actor, actor_of
from opsconsole.words import counted
from sync.access import CANCEL, RUN
from sync.forms import ReasonForm, refused_into
from sync.models import Batch
from sync.operations import batches as operations
from sync.reading import jobs_by_state


@dataclass(frozen=True, slots=True)
class Act:
    """`verb` for heading and button; `follows` says what it does; `do` acts, and says what was done."""

    verb: str
    follows: str
    do: Callable[[Batch, Actor, str], str]
    dangerous: bool = False


def _cancel(batch: Batch, actor: Actor, reason: str) -> str:
    cancelled, asked = operations.cancel_batch(batch, actor, reason)
    return f"{counted(cancelled, 'waiting job')} cancelled; {counted(asked, 'running one')} asked to stop."


def _pause(batch: Batch, actor: Actor, reason: str) -> str:
    held, asked = operations.pause(batch, actor, reason)
    return f"{counted(held, 'waiting job')} held back; {counted(asked, 'running one')} asked to pause."


def _resume(batch: Batch, actor: Actor, reason: str) -> str:
    return f"Batch {batch.pk} goes on; {counted(operations.resume(batch, actor, reason), 'job')} queued now."


def _go(batch: Batch, actor: Actor, reason: str) -> str:
    return (
        f"Batch {batch.pk} goes on after its canary; {counted(operations.go(batch, actor, reason), 'job')} queued now."
    )


def _retry(batch: Batch, actor: Actor, reason: str) -> str:
    result = operations.retry_failed(batch, actor, reason)
    left_out = f"; {result.left_out:,} left out, their organization has another active job" if result.left_out else ""
    return f"{counted(result.retried, 'job')} queued again{left_out}."


CANCEL_ACT = Act(
    "Cancel",
    "Jobs that wait are cancelled at once; those that run stop at their next checkpoint. What was published stays "
    "published, and what was found stays listed. Organizations that left the staged set are not staged again.",
    _cancel,
    dangerous=True,
)
PAUSE_ACT = Act("Pause", "Jobs that wait are held back; those that run are put aside at their next checkpoint.", _pause)
RESUME_ACT = Act("Resume", "Jobs go on from their checkpoints. Failures so far no longer count for its stop.", _resume)
GO_ACT = Act("Go on with", "The canary was good: the other jobs are queued, at the pace of the batch.", _go)
RETRY_ACT = Act("Retry", "Jobs that failed, looped or were cancelled go on from their checkpoints.", _retry)


def _page(request: HttpRequest, number: int, act: Act) -> HttpResponse:
    """Say what would happen, ask for a reason, then act."""
    batch = get_object_or_404(Batch, pk=number)
    form = ReasonForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        with refused_into(form):
            messages.success(request, act.do(batch, actor_of(request), form.cleaned_data["reason"]))
            return redirect("sync:batch", batch.pk)
    content = {"batch": batch, "states": jobs_by_state(batch), "form": form, "act": act}
    return render(request, "sync/batch_act.html", content, status=400 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(CANCEL, scoping=Scoping.NARROWED)
def cancel_batch(request: HttpRequest, number: int) -> HttpResponse:
    return _page(request, number, CANCEL_ACT)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(CANCEL, scoping=Scoping.NARROWED)
def pause_batch(request: HttpRequest, number: int) -> HttpResponse:
    return _page(request, number, PAUSE_ACT)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(RUN, scoping=Scoping.NARROWED)
def resume_batch(request: HttpRequest, number: int) -> HttpResponse:
    return _page(request, number, RESUME_ACT)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(RUN, scoping=Scoping.NARROWED)
def go_batch(request: HttpRequest, number: int) -> HttpResponse:
    return _page(request, number, GO_ACT)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(RUN, scoping=Scoping.NARROWED)
def retry_batch(request: HttpRequest, number: int) -> HttpResponse:
    return _page(request, number, RETRY_ACT)
