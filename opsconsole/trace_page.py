"""Searching for a trace id: the chain behind it. The audit log's part of it, too."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe
from ninja import Path, Schema

from opsconsole import trace
from opsconsole.access import Scoping, requires
from opsconsole.api.routes import Routes
from opsconsole.models import VIEW_AUDIT, AuditEntry
from opsconsole.search import Hit, Person, finds

routes = Routes("Traces", "traces", scoping=Scoping.NARROWED)

TraceId = Annotated[UUID, Path(example="7f9c24e8-3b12-4fef-91d0-9e0c5a1c2b6d")]


class TraceForm(forms.Form):
    id = forms.UUIDField(
        label="Trace id",
        widget=forms.TextInput(attrs={"class": "mono", "autocomplete": "off", "data-search": True}),
        error_messages={"invalid": "A trace id has 32 hexadecimal digits, as jobs, batches and the audit log show it."},
    )


class LinkOut(Schema):
    at: datetime
    what: str
    sentence: str


class Chain(Schema):
    """What happened under one trace id, in order of time."""

    items: list[LinkOut]


@require_safe
@requires(VIEW_AUDIT, scoping=Scoping.NARROWED)
def trace_page(request: HttpRequest) -> HttpResponse:
    form = TraceForm(request.GET if "id" in request.GET else None)
    content: dict[str, Any] = {"form": form}
    if form.is_valid():
        content["links"] = trace.chain(form.cleaned_data["id"])
        content["trace_id"] = form.cleaned_data["id"]
    return render(request, "trace.html", content, status=400 if form.errors else 200)


@routes.read("{trace_id}", VIEW_AUDIT, Chain, summary="The chain behind a trace id; empty where nothing has it")
def get_trace(request: HttpRequest, trace_id: TraceId) -> Any:
    return {"items": trace.chain(trace_id)}


@finds(VIEW_AUDIT, scoping=Scoping.NARROWED)
def chains(user: Person, text: str) -> Iterator[Hit]:
    try:
        trace_id = UUID(text)
    except ValueError:
        return
    if found := trace.chain(trace_id):
        sentence = f"{len(found):,} things happened under this id, the first: {found[0].what}."
        yield Hit("trace", str(trace_id), sentence, f"{reverse('trace')}?{urlencode({'id': str(trace_id)})}")


@trace.links_of(narrowed=True)
def acts(trace_id: UUID) -> Iterator[trace.Link]:
    for entry in AuditEntry.objects.filter(trace_id=trace_id).order_by("pk")[: trace.MOST_SHOWN]:
        reason = f": {entry.reason}" if entry.reason else ""
        sentence = f"{entry.action} by {entry.actor} ({entry.door}){reason}"
        yield trace.Link(entry.at, entry.subject, sentence, reverse("audit_entry", args=[entry.pk]))
