"""Work that is asked for by hand: tasks by id, one organization, one organization's window."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Schema

from opsconsole.access import Scoping
from opsconsole.api.routes import Reason, Routes, actor_of
from sync.access import RUN, VIEW
from sync.endpoints.common import Between, Body, OneId, Tasks
from sync.endpoints.jobs import JobDetail
from sync.engine.rows import DriftKind
from sync.models import Mode
from sync.operations.byhand import Preview, preview_tasks
from sync.operations.jobs import check_organization, sync_tasks
from sync.operations.windows import sync_window

routes = Routes("By hand", "by-hand", scoping=Scoping.NARROWED)


class TaskList(Body):
    tasks: Tasks


class SyncTasks(Reason):
    """Each is compared and, in mode `sync`, published where it differs."""

    tasks: Tasks
    mode: Mode = Mode.REPORT


class CheckOrganization(Body):
    organization: OneId
    mode: Mode = Mode.REPORT


class SyncWindow(Reason):
    organization: OneId
    window: Between
    mode: Mode = Mode.REPORT


class Compared(Schema):
    """One task on both sides; `kind` null: the index is right. One that has not `settled` may only be under way."""

    task: str
    kind: DriftKind | None
    fields: list[str]
    settled: bool
    source_updated_at: datetime | None
    source_version: int | None
    index_version: int | None


class PreviewOut(Schema):
    """`shown` are the first 200, those that differ first; `young` may be under way; neither side knows `unknown`."""

    tasks: int
    differing: int
    same: int
    young: int
    unknown: list[str]
    shown: list[Compared]


@routes.act("tasks/preview", VIEW, PreviewOut, summary="Tasks as both sides have them now, compared")
def preview_of_tasks(request: HttpRequest, body: TaskList) -> Any:
    """A POST since a list is too long for an address; it changes nothing."""
    return _previewed(preview_tasks(body.tasks))


def _previewed(preview: Preview) -> dict[str, Any]:
    return {
        "tasks": len(preview.keys),
        "differing": preview.differing,
        "same": preview.same,
        "young": preview.young,
        "unknown": [str(key) for key in preview.unknown],
        "shown": [
            {
                "task": str(one.key),
                "kind": one.kind,
                "fields": list(one.fields),
                "settled": one.settled,
                "source_updated_at": one.source.updated_at if one.source else None,
                "source_version": one.source.version if one.source else None,
                "index_version": one.index.version if one.index else None,
            }
            for one in preview.shown
        ],
    }


@routes.act("tasks", RUN, JobDetail, status=201, summary="A job for tasks by their ids")
def sync_tasks_by_hand(request: HttpRequest, body: SyncTasks) -> Any:
    return _fresh(sync_tasks(body.tasks, body.mode, actor_of(request), reason=body.reason))


@routes.act("organizations", RUN, JobDetail, status=201, summary="A job for one organization")
def check_organization_by_hand(request: HttpRequest, body: CheckOrganization) -> Any:
    return _fresh(check_organization(body.organization, body.mode, actor_of(request)))


@routes.act("windows", RUN, JobDetail, status=201, summary="A job for one organization's tasks of a window")
def sync_window_by_hand(request: HttpRequest, body: SyncWindow) -> Any:
    window = body.window.window()
    return _fresh(sync_window(body.organization, window, body.mode, actor_of(request), reason=body.reason))


def _fresh(job: Any) -> Any:
    job.refresh_from_db()  # the database has set its times
    return job
