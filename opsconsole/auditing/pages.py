"""The audit log: the list with its search, one entry, and the CSV."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from opsconsole.access import Scoping, requires
from opsconsole.auditing.forms import AuditFilter
from opsconsole.auditing.tables import AuditTable
from opsconsole.downloads import csv_download
from opsconsole.errors import UsageError
from opsconsole.keyset import capped_count
from opsconsole.models import VIEW_AUDIT, AuditEntry

ROWS_AT_ONCE = 2_000
CSV_FIELDS = (
    *("position", "at", "actor", "elevation", "door", "address", "action", "subject", "reason", "ticket", "trace_id"),
    *("before", "after", "details", "hash"),
)
JSON_FIELDS = {"before", "after", "details"}


@require_safe
@requires(VIEW_AUDIT, scoping=Scoping.NARROWED)
def audit_list(request: HttpRequest) -> HttpResponse:
    """Two queries: the page of entries, and their number up to a cap."""
    form = AuditFilter(request.GET)
    content: dict[str, Any] = {"form": form}
    if not form.is_valid():
        return render(request, "audit/list.html", content, status=400)
    rows = form.narrow(AuditEntry.objects.all())
    table = AuditTable.from_request(request, rows, label="Audit log", total=capped_count(rows))
    return render(request, "audit/list.html", content | {"table": table})


@require_safe
@requires(VIEW_AUDIT, scoping=Scoping.NARROWED)
def audit_entry(request: HttpRequest, number: int) -> HttpResponse:
    entry = get_object_or_404(AuditEntry.objects.select_related("token"), pk=number)
    values = [
        ("Before", entry.before),
        ("After", entry.after),
        ("Details", entry.details),
    ]
    shown = [(title, json.dumps(value, indent=2, ensure_ascii=False)) for title, value in values if value]
    return render(request, "audit/entry.html", {"entry": entry, "values": shown})


@require_safe
@requires(VIEW_AUDIT, scoping=Scoping.NARROWED)
def audit_csv(request: HttpRequest) -> StreamingHttpResponse:
    """What the page's search lets through, oldest first, streamed."""
    form = AuditFilter(request.GET)
    if not form.is_valid():
        raise UsageError(" ".join(str(error) for errors in form.errors.values() for error in errors))
    rows = form.narrow(AuditEntry.objects.all()).order_by("pk")
    return csv_download(request, "audit", "audit-log.csv", CSV_FIELDS, _cells(rows))


def _cells(rows: QuerySet[AuditEntry]) -> Iterator[list[object]]:
    for row in rows.values(*CSV_FIELDS).iterator(ROWS_AT_ONCE):
        yield [_cell(name, row[name]) for name in CSV_FIELDS]


def _cell(name: str, value: Any) -> object:
    if value is None:
        return ""
    if name in JSON_FIELDS:
        return json.dumps(value, ensure_ascii=False)
    return value.isoformat() if name == "at" else str(value)
