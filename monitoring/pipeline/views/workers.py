"""Workers: what each does and whether it lives, and restarting them."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from monitoring.acting import ask_and_do
from monitoring.pipeline.access import RESTART, VIEW
from monitoring.pipeline.operations import workers as operations
from monitoring.pipeline.standing import workers_now
from monitoring.pipeline.tables import WorkerTable
from monitoring.pipeline.views.queues import known
from opsconsole.access import requires
from opsconsole.audit import actor_of
from opsconsole.words import counted


@require_safe
@requires(VIEW)
def worker_list(request: HttpRequest) -> HttpResponse:
    return render(request, "pipeline/workers.html", content(request))


@require_safe
@requires(VIEW)
def workers_live(request: HttpRequest) -> HttpResponse:
    return render(request, "pipeline/workers_live.html", content(request))


def content(request: HttpRequest) -> dict[str, Any]:
    rows, error = workers_now(timezone.now())
    return {"rows": rows, "error": error, "table": WorkerTable(rows, label="Workers", request=request)}


@require_http_methods(["GET", "HEAD", "POST"])
@requires(RESTART)
def restart_worker(request: HttpRequest, worker: str) -> HttpResponse:
    rows, _ = workers_now(timezone.now())
    row = next((row for row in rows if row.name == worker), None)
    if row is None:
        raise Http404("There is no such worker.")

    def act(reason: str) -> str:
        operations.restart(worker, actor_of(request), reason)
        return f"Worker {worker} was asked to end; its job stops at the next checkpoint."

    return ask_and_do(
        request, act, template="pipeline/worker_restart.html", then="pipeline:workers", content={"worker": row}
    )


@require_http_methods(["GET", "HEAD", "POST"])
@requires(RESTART)
def restart_all(request: HttpRequest, queue: str) -> HttpResponse:
    rows, _ = workers_now(timezone.now())
    mine = [row.name for row in rows if known(queue) in row.queues and row.can_hear]

    def act(reason: str) -> str:
        heard = operations.restart_all(queue, mine, actor_of(request), reason)
        return f"{counted(heard, 'worker')} of {queue} heard it and will end."

    return ask_and_do(
        request,
        act,
        template="pipeline/queue_restart.html",
        then="pipeline:workers",
        content={"queue": queue, "workers": mine},
    )
