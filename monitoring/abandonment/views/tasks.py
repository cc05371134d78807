"""Tracked tasks: the list and its CSV, and one with its history."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from monitoring.abandonment.access import VIEW
from monitoring.abandonment.band import Band, band_of
from monitoring.abandonment.forms import TaskFilter
from monitoring.abandonment.models import (
    IN_FORCE,
    UNDER_WAY,
    Disabling,
    FailingSpell,
    LookGap,
    ScopeOutage,
    SourceLook,
    TrackedTask,
)
from monitoring.abandonment.operations.asking import source_of
from monitoring.abandonment.operations.policies import policy_book
from monitoring.abandonment.readings import unknown_sources
from monitoring.abandonment.rules import PolicyBook
from monitoring.abandonment.tables import DisablingTable, TaskTable
from monitoring.abandonment.words import next_of, standing_of
from monitoring.alerts.models import Alert, Notification
from opsconsole import estate
from opsconsole.access import requires
from opsconsole.downloads import csv_download
from opsconsole.errors import UsageError
from opsconsole.keyset import capped_count
from opsconsole.words import machine_time

HISTORY = timedelta(days=60)
MOST = 500
CSV_ROWS = 100_000
CSV_HEADER = (
    *("source", "id", "name", "kind", "scope", "owner", "state", "failing_since", "failing_seconds", "restarted"),
    *("last_data", "last_error", "warned_at", "disable_at", "held_by", "link"),
)


@require_safe
@requires(VIEW)
def task_list(request: HttpRequest) -> HttpResponse:
    now, form = timezone.now(), TaskFilter(request.GET)
    content: dict[str, Any] = {"form": form, "tab": "tasks", **_sources(now)}
    if not form.is_valid():
        return render(request, "abandonment/tasks.html", content, status=400)
    rows = form.narrow(TrackedTask.objects.all(), now)
    table = TaskTable.from_request(request, rows, label="Tracked tasks", total=capped_count(rows))
    look(table.keyset.rows if table.keyset else (), now)
    return render(request, "abandonment/tasks.html", content | {"table": table})


def _sources(now: datetime) -> dict[str, Any]:
    """Two queries: what cannot be seen now, and outages."""
    sources = estate.current().tracked_tasks
    outages = ScopeOutage.objects.filter(ended_at=None).order_by("-found_at")[:10]
    return {"sources": sources, "unknown": unknown_sources(sources, now), "outages": list(outages)}


def look(tasks: Any, now: datetime, book: PolicyBook | None = None) -> None:
    """Give each what the page says of it. One query, for the policies."""
    policies = book or policy_book()
    for task in tasks:
        rules = policies.rules(task.scope, task.kind)
        task.said, task.next = standing_of(task, now), next_of(task)
        task.watched = task.failing_since is not None and task.remembered.failing_for(now) >= rules.watch_after
        task.left = (task.disable_at - now).total_seconds() if task.disable_at else None


@require_safe
@requires(VIEW)
def tasks_csv(request: HttpRequest) -> StreamingHttpResponse:
    """The tasks as the page's filter has them, at most a hundred thousand, streamed."""
    now, form = timezone.now(), TaskFilter(request.GET)
    if not form.is_valid():
        raise UsageError(" ".join(str(error) for errors in form.errors.values() for error in errors))
    rows = form.narrow(TrackedTask.objects.all(), now).order_by("pk")[:CSV_ROWS]
    cells = _cells(rows.iterator(chunk_size=2_000), now)
    return csv_download(request, "tracked_tasks", "tracked-tasks.csv", CSV_HEADER, cells)


def _cells(tasks: Iterator[TrackedTask], now: datetime) -> Iterator[tuple[object, ...]]:
    for task in tasks:
        times = [
            machine_time(at) if at else "" for at in (task.failing_since, task.last_data_at, task.notice_delivered_at)
        ]
        failing, data, warned = times
        yield (
            *(task.source, task.key, task.title, task.kind, task.scope, task.owner, task.state, failing),
            *(round(task.failing_for(now)), task.restarted, data, task.last_error, warned),
            *(machine_time(task.disable_at) if task.disable_at else "", task.hold, task.link),
        )


@require_safe
@requires(VIEW)
def task_page(request: HttpRequest, number: int) -> HttpResponse:
    """Nine queries."""
    now = timezone.now()
    task = get_object_or_404(TrackedTask, pk=number)
    book = policy_book()
    look([task], now, book)
    disablings = list(Disabling.objects.filter(task=task).order_by("-pk")[:20])
    content = {
        "task": task,
        "source": source_of(task),
        "source_look": SourceLook.objects.filter(source=task.source).first(),
        "policy": book.policy(task.scope, task.kind),
        "alert": Alert.objects.open().filter(subject=task.subject).order_by("-pk").first(),
        "warning": _warning(task),
        "disablings": disablings,
        "in_force": next((row for row in disablings if row.state in IN_FORCE), None),
        "under_way": next((row for row in disablings if row.state in UNDER_WAY), None),
        "disabling_table": DisablingTable(disablings, label="Disablings") if disablings else None,
        "band": history(task, disablings, now),
        "now": now,
    }
    return render(request, "abandonment/task.html", content)


def _warning(task: TrackedTask) -> Notification | None:
    if task.notice_number is None:
        return None
    return Notification.objects.filter(key=task.notice_key(task.notice_number)).first()


def history(task: TrackedTask, disablings: list[Disabling], now: datetime) -> Band:
    """The last sixty days. Two queries."""
    start = now - HISTORY
    spells = FailingSpell.objects.filter(task=task).exclude(ended_at__lt=start).order_by("-began_at")[:MOST]
    gaps = LookGap.objects.filter(source=task.source, ended_at__gt=start).order_by("-began_at")[:MOST]
    return band_of(
        start,
        now,
        known_from=task.first_seen_at,
        failing=[(row.began_at, row.ended_at) for row in spells],
        unseen=[(row.began_at, row.ended_at) for row in gaps],
        disabled=[(row.done_at, row.undone_at) for row in disablings if row.done_at],
    )
