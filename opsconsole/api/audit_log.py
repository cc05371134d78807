"""The audit log for programs, to read."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Field, Query, Schema

from opsconsole.access import Scoping
from opsconsole.api.paging import Page, PagingQuery, page
from opsconsole.api.routes import Routes
from opsconsole.models import VIEW_AUDIT, AuditEntry

routes = Routes("Audit log", "audit", scoping=Scoping.NARROWED)


class EntryOut(Schema):
    """One act: who, by which door, what, on what, why. `token` is the number of the API token that was used."""

    number: int = Field(alias="id")
    at: datetime
    actor: str
    door: str
    token: int | None = Field(alias="token_id")
    action: str = Field(examples=["batch.started"])
    subject: str = Field(examples=["batch:12"])
    reason: str
    ticket: str
    trace_id: UUID | None
    details: dict[str, Any]


class EntryFilters(Schema):
    """Each exact."""

    actor: str | None = Field(None, max_length=150)
    action: str | None = Field(None, max_length=60)
    subject: str | None = Field(None, max_length=200)
    ticket: str | None = Field(None, max_length=100)
    trace_id: UUID | None = None


@routes.read("", VIEW_AUDIT, Page[EntryOut], summary="The audit log, newest first")
def list_audit_entries(request: HttpRequest, paging: PagingQuery, filters: Annotated[EntryFilters, Query()]) -> Any:
    rows = AuditEntry.objects.filter(**filters.model_dump(exclude_none=True))
    return page(rows, ("-id",), paging)
