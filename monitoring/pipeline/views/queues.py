"""Queues: how they stand and move, what is stuck, and pausing one."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from monitoring.acting import ask_and_do
from monitoring.pipeline.access import PAUSE, VIEW
from monitoring.pipeline.models import PausedQueue
from monitoring.pipeline.operations import queues as operations
from monitoring.pipeline.standing import standing
from monitoring.pipeline.tables import QueueTable
from opsconsole.access import requires
from opsconsole.audit import actor_of


@require_safe
@requires(VIEW)
def queue_list(request: HttpRequest) -> HttpResponse:
    return render(request, "pipeline/queues.html", content(request))


@require_safe
@requires(VIEW)
def queues_live(request: HttpRequest) -> HttpResponse:
    return render(request, "pipeline/queues_live.html", content(request))


def content(request: HttpRequest) -> dict[str, Any]:
    now = standing(timezone.now())
    return {"now": now, "table": QueueTable(now.queues, label="Queues", request=request)}


@require_http_methods(["GET", "HEAD", "POST"])
@requires(PAUSE)
def pause_queue(request: HttpRequest, queue: str) -> HttpResponse:
    def act(reason: str) -> str:
        operations.pause(queue, actor_of(request), reason)
        return f"The queue {queue} is paused: workers take nothing more from it. What runs goes on."

    return ask_and_do(
        request, act, template="pipeline/queue_pause.html", then="pipeline:queues", content={"queue": known(queue)}
    )


@require_http_methods(["GET", "HEAD", "POST"])
@requires(PAUSE)
def resume_queue(request: HttpRequest, queue: str) -> HttpResponse:
    def act(reason: str) -> str:
        operations.resume(queue, actor_of(request), reason)
        return f"The queue {queue} is resumed."

    paused = PausedQueue.objects.filter(pk=known(queue)).first()
    return ask_and_do(
        request,
        act,
        template="pipeline/queue_resume.html",
        then="pipeline:queues",
        content={"queue": queue, "paused": paused},
    )


def known(queue: str) -> str:
    if queue not in settings.QUEUES:
        raise Http404("There is no such queue.")
    return queue
