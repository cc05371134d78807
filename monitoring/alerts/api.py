"""Alerts for programs: read, acknowledge, annotate."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone
from ninja import Field, Query, Schema
from pydantic import AwareDatetime

from monitoring.alerts.access import HANDLE, VIEW
from monitoring.alerts.models import Alert, AlertEvent, AlertState
from monitoring.alerts.operations import acting
from monitoring.alerts.types import Severity
from opsconsole.api.paging import Page, PagingQuery, page
from opsconsole.api.routes import Number, Routes, Why, actor_of

routes = Routes("Alerts", "alerts")


class AlertOut(Schema):
    """Something is wrong with `subject` since `first_at`. `seen` has what was seen, label to value."""

    number: int = Field(alias="id")
    kind: str
    subject: str
    scope: str
    severity: Severity
    state: AlertState
    title: str
    owner: str
    seen: dict[str, Any]
    first_at: datetime
    last_at: datetime
    count: int
    acknowledged_by: str
    acknowledged_until: datetime | None
    held: str
    incident: int | None = Field(alias="incident_id")
    resolved_at: datetime | None
    resolved_because: str

    @staticmethod
    def resolve_state(alert: Alert) -> AlertState:
        return alert.state_at(timezone.now())


class AlertFilters(Schema):
    """`state`: `open` are those that are not resolved."""

    state: Literal["open", "resolved"] | None = None
    kind: str | None = Field(None, max_length=30)
    subject: str | None = Field(None, max_length=300)


class Acknowledge(Schema):
    """Somebody has it, until a time within 90 days: nothing escalates until then."""

    until: AwareDatetime = Field(examples=["2026-11-21T18:00:00Z"])
    note: str = Field("", max_length=1_000)

    model_config = {"extra": "forbid"}


class Note(Schema):
    text: Why

    model_config = {"extra": "forbid"}


class AlertEventOut(Schema):
    """A line of an alert's history; `actor` is empty where the console did it by itself."""

    at: datetime
    kind: str
    actor: str
    text: str


@routes.read("", VIEW, Page[AlertOut], summary="Alerts, newest first")
def list_alerts(request: HttpRequest, paging: PagingQuery, filters: Annotated[AlertFilters, Query()]) -> Any:
    asked = filters.model_dump(exclude_none=True)
    state = asked.pop("state", None)
    rows = Alert.objects.filter(**asked)
    if state is not None:
        rows = rows.filter(resolved_at__isnull=state == "open")
    return page(rows, ("-first_at", "-id"), paging)


@routes.read("{number}", VIEW, AlertOut, summary="One alert")
def get_alert(request: HttpRequest, number: Number) -> Any:
    return get_object_or_404(Alert, pk=number)


@routes.read("{number}/events", VIEW, Page[AlertEventOut], summary="The history of an alert, oldest first")
def list_alert_events(request: HttpRequest, number: Number, paging: PagingQuery) -> Any:
    return page(AlertEvent.objects.filter(alert=get_object_or_404(Alert, pk=number)), ("id",), paging)


@routes.act("{number}/acknowledge", HANDLE, AlertOut, summary="Somebody has the alert, until a time")
def acknowledge_alert(request: HttpRequest, number: Number, body: Acknowledge) -> Any:
    alert = get_object_or_404(Alert, pk=number)
    acting.acknowledge(alert, actor_of(request), body.until, body.note, timezone.now())
    return get_object_or_404(Alert, pk=number)


@routes.act("{number}/unacknowledge", HANDLE, AlertOut, summary="Nobody has the alert any more")
def unacknowledge_alert(request: HttpRequest, number: Number) -> Any:
    acting.take_back(get_object_or_404(Alert, pk=number), actor_of(request), timezone.now())
    return get_object_or_404(Alert, pk=number)


@routes.act("{number}/notes", HANDLE, AlertOut, summary="Add a line to the history of an alert")
def annotate_alert(request: HttpRequest, number: Number, body: Note) -> Any:
    acting.annotate(get_object_or_404(Alert, pk=number), actor_of(request), body.text, timezone.now())
    return get_object_or_404(Alert, pk=number)
