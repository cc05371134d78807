"""Missed runs and dead letters: what did not run, or failed, and why; to be run again or ignored."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from monitoring.acting import ask_and_do
from monitoring.schedules.access import RUN, VIEW
from monitoring.schedules.models import Run, RunState
from monitoring.schedules.operations import settling
from monitoring.schedules.tables import DeadRunTable, MissedTable
from monitoring.schedules.views.common import dead_letters, missed_runs
from opsconsole.access import requires
from opsconsole.audit import actor_of
from opsconsole.errors import ConsoleError
from opsconsole.keyset import capped_count


@require_safe
@requires(VIEW)
def missed_list(request: HttpRequest) -> HttpResponse:
    rows, now = missed_runs(), timezone.now()
    total = capped_count(rows)
    table = MissedTable.from_request(request, rows, label="Missed runs", total=total)
    for run in table.keyset.rows if table.keyset else ():
        run.ago = (now - run.due_at).total_seconds()
    return render(request, "schedules/missed.html", {"table": table, "missed": total, "tab": "missed"})


@require_safe
@requires(VIEW)
def dead_list(request: HttpRequest) -> HttpResponse:
    rows = dead_letters()
    total = capped_count(rows)
    table = DeadRunTable.from_request(request, rows, label="Dead letters", total=total)
    return render(request, "schedules/dead.html", {"table": table, "dead": total, "tab": "dead"})


def _list_of(run: Run) -> str:
    return reverse("schedules:dead" if run.status is RunState.FAILED else "schedules:missed")


@require_POST
@requires(RUN)
def run_again(request: HttpRequest, number: int) -> HttpResponse:
    missed = get_object_or_404(Run.objects.select_related("scheduled_job"), pk=number)
    try:
        run = settling.run_missed(missed, actor_of(request))
    except ConsoleError as error:
        messages.error(request, str(error))
    else:
        page = reverse("schedules:run", args=[run.pk])
        said = format_html('{} runs now, as <a href="{}">run {}</a>.', missed.scheduled_job.name, page, run.pk)
        messages.success(request, said)
    return redirect(_list_of(missed))


@require_http_methods(["GET", "HEAD", "POST"])
@requires(RUN)
def ignore(request: HttpRequest, number: int) -> HttpResponse:
    missed = get_object_or_404(Run.objects.select_related("scheduled_job"), pk=number)

    def act(reason: str) -> str:
        settling.ignore_missed(missed, actor_of(request), reason)
        return f"Run {missed.pk} of {missed.scheduled_job.name} is ignored."

    back = _list_of(missed)
    content: dict[str, object] = {"run": missed, "job": missed.scheduled_job, "back": back}
    return ask_and_do(request, act, template="schedules/ignore.html", then=back, content=content)
