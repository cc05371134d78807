"""The staged set."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Field, Schema

from opsconsole import estate
from opsconsole.access import Scoping
from opsconsole.api.paging import Page, PagingQuery, page
from opsconsole.api.routes import Routes, actor_of
from sync.access import STAGE, VIEW
from sync.endpoints.common import Body, OneId, Organizations
from sync.operations import staging
from sync.operations.ids import organization_rules, require_keys
from sync.reading import staged_with_obstacle

routes = Routes("Staged organizations", "staged-organizations", scoping=Scoping.NARROWED)

LONGEST_ORIGIN = 200


class StagedOut(Schema):
    """An organization that waits for a batch. `active_job` is in its way, where there is one."""

    organization: str = Field(alias="organization_id")
    name: str
    staged_at: datetime
    staged_by: str
    origin: str
    task_count: int | None
    reported_in: int | None = Field(alias="reported_in_id")
    active_job: int | None


class Stage(Body):
    """All of them are staged or, where one is malformed or unknown to the source, none."""

    organizations: Organizations
    origin: str = Field("api", max_length=LONGEST_ORIGIN, description="Where they come from, for those who look.")
    clear_first: bool = Field(False, description="Empty the set before, in the same transaction.")


class Staged(Schema):
    """`active` and `skipped` were left out: a job is active, or they are on the skip list."""

    staged: int
    already: int
    active: list[str]
    skipped: list[str]


class Unstage(Body):
    organizations: list[OneId] = Field(min_length=1, max_length=10_000)


class Removed(Schema):
    removed: int


@routes.read("", VIEW, Page[StagedOut], summary="List the staged set, oldest first")
def list_staged(request: HttpRequest, paging: PagingQuery) -> Any:
    return page(staged_with_obstacle(), ("staged_at", "organization_id"), paging)


@routes.act("", STAGE, Staged, summary="Stage organizations")
def stage_organizations(request: HttpRequest, body: Stage) -> Any:
    return staging.stage(body.organizations, actor_of(request), origin=body.origin, clear_first=body.clear_first)


@routes.act("remove", STAGE, Removed, summary="Take organizations out of the set")
def unstage_organizations(request: HttpRequest, body: Unstage) -> Any:
    keys = require_keys(body.organizations, organization_rules(estate.current().source))
    return {"removed": staging.unstage([str(key) for key in keys], actor_of(request))}


@routes.act("clear", STAGE, Removed, summary="Empty the set")
def clear_staged(request: HttpRequest) -> Any:
    return {"removed": staging.clear(actor_of(request))}
