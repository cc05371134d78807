"""The skip list."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from django.http import HttpRequest
from ninja import Field, Query, Schema

from opsconsole.access import Scoping
from opsconsole.api.filters import filled
from opsconsole.api.paging import Page, PagingQuery, page
from opsconsole.api.routes import LARGEST_NUMBER, Reason, Routes, Ticket, Why, actor_of
from sync.access import SKIP, VIEW
from sync.endpoints.common import Body, Organizations
from sync.models import SkippedOrganization, SkipReason
from sync.operations import skiplist as operations
from sync.skiplist_form import SkipFilter

routes = Routes("Skip list", "skip-list", scoping=Scoping.NARROWED)


class SkippedOut(Schema):
    """An organization that batches leave out; `resolved_at` is null while it is on the list."""

    number: int = Field(alias="id")
    organization: str = Field(alias="organization_id")
    name: str
    why: SkipReason = Field(alias="reason")
    note: str
    job: int | None = Field(alias="job_id")
    skipped_by: str
    skipped_at: datetime
    resolved_at: datetime | None
    resolved_by_job: int | None = Field(alias="resolved_by_job_id")
    resolution: str


class SkipFilters(Schema):
    state: Literal["open", "resolved"] | None = None
    reason: SkipReason | None = None
    organization: str | None = Field(None, max_length=500)


class Skip(Body):
    """All of them are put on the list or, where one is malformed or unknown to the source, none."""

    organizations: Organizations
    why: SkipReason = SkipReason.BY_HAND
    note: Why
    ticket: Ticket = ""


class Skipped(Schema):
    added: int
    already: int


class TakeOff(Reason):
    entries: list[Annotated[int, Field(ge=1, le=LARGEST_NUMBER)]] = Field(min_length=1, max_length=10_000)


class TakenOff(Schema):
    taken_off: int


@routes.read("", VIEW, Page[SkippedOut], summary="List the skip list, newest first")
def list_skipped(request: HttpRequest, paging: PagingQuery, filters: Annotated[SkipFilters, Query()]) -> Any:
    return page(filled(SkipFilter, filters).narrow(SkippedOrganization.objects.all()), ("-id",), paging)


@routes.act("", SKIP, Skipped, summary="Put organizations on the list")
def skip_organizations(request: HttpRequest, body: Skip) -> Any:
    return operations.skip(body.organizations, body.why, body.note, actor_of(request))


@routes.act("remove", SKIP, TakenOff, summary="Take entries off the list; they stay as history")
def unskip_organizations(request: HttpRequest, body: TakeOff) -> Any:
    return {"taken_off": operations.take_off(body.entries, actor_of(request), body.reason)}
