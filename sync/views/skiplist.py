"""The skip list: see it, put organizations on it, take them off, write it to a CSV."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from opsconsole import estate
from opsconsole.access import Scoping, requires
from opsconsole.audit import actor_of
from opsconsole.downloads import csv_download
from opsconsole.errors import UsageError
from opsconsole.keyset import capped_count
from sync.access import RUN, SKIP, VIEW
from sync.forms import ReasonForm, refused_into
from sync.models import SkippedOrganization, SkipReason
from sync.operations import skiplist
from sync.operations.skipfile import COLUMNS, cells_of
from sync.skiplist_form import SkipFilter, SkipForm
from sync.skiplist_tables import EditableSkipTable, SkipTable, skip_rows

ROWS_AT_ONCE = 2_000
MOST_DIGITS = 18
NAMED = 20


@require_safe
@requires(VIEW, scoping=Scoping.NARROWED)
def skip_list(request: HttpRequest) -> HttpResponse:
    return _page(request, SkipForm())


def _page(request: HttpRequest, form: SkipForm, status: int = 200) -> HttpResponse:
    filters = SkipFilter(request.GET)
    rows = _filtered(filters)
    may_skip, may_run = (request.user.has_perm(name.name) for name in (SKIP, RUN))
    table_class = EditableSkipTable if may_skip or may_run else SkipTable
    content: dict[str, Any] = {
        "form": form,
        "filters": filters,
        "open": capped_count(SkippedOrganization.objects.open()),
        "any": SkippedOrganization.objects.exists(),
        "may_skip": may_skip,
        "may_run": may_run,
    }
    if rows is not None:
        content["table"] = table_class.from_request(request, rows.select_related(None), label="Skip list")
    return render(request, "sync/skip_list.html", content, status=400 if filters.errors else status)


def _filtered(filters: SkipFilter) -> QuerySet[SkippedOrganization] | None:
    """The entries that the address asks for; None where it asks for what cannot be, with the reason in the form."""
    return filters.narrow(skip_rows()) if filters.is_valid() else None


@require_POST
@requires(SKIP, scoping=Scoping.NARROWED)
def skip_add(request: HttpRequest) -> HttpResponse:
    form = SkipForm(request.POST)
    if form.is_valid():
        wanted = form.cleaned_data
        with refused_into(form, "ids"):
            reason = SkipReason(wanted["reason"])
            result = skiplist.skip(wanted["ids"].splitlines(), reason, wanted["note"], actor_of(request))
            (messages.success if result.added else messages.warning)(request, result.sentence())
            return redirect("sync:skipped")
    return _page(request, form, status=400)


@require_POST
@requires(SKIP, scoping=Scoping.NARROWED)
def skip_off(request: HttpRequest) -> HttpResponse:
    """Say which entries come off the list and ask why; then do it."""
    ticked = [text for text in request.POST.getlist("selected") if _is_number(text)]
    skiplist.require_seen([int(text) for text in ticked])
    entries = list(SkippedOrganization.objects.open().filter(pk__in=ticked).order_by("pk"))
    if not entries:
        messages.warning(request, "Nothing was ticked that is on the list, so nothing was taken off.")
        return redirect("sync:skipped")
    form = ReasonForm(request.POST if "reason" in request.POST else None)
    if form.is_valid():
        with refused_into(form, "reason"):
            numbers = [entry.pk for entry in entries]
            changed = skiplist.take_off(numbers, actor_of(request), form.cleaned_data["reason"])
            messages.success(request, f"{changed:,} taken off the skip list.")
            return redirect("sync:skipped")
    content = {"form": form, "entries": entries, "named": entries[:NAMED], "more": max(len(entries) - NAMED, 0)}
    return render(request, "sync/skip_off.html", content, status=400 if form.errors else 200)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS


@require_safe
@requires(VIEW, scoping=Scoping.NARROWED)
def skip_csv(request: HttpRequest) -> StreamingHttpResponse:
    """The entries that the page's filters let through, oldest first, streamed. Raises UsageError."""
    filters = SkipFilter(request.GET)
    rows = _filtered(filters)
    if rows is None:
        raise UsageError(" ".join(str(error) for errors in filters.errors.values() for error in errors))
    prefix = estate.current().source.id_prefix
    entries = rows.order_by("skipped_at", "pk").iterator(ROWS_AT_ONCE)
    cells = (cells_of(entry, prefix) for entry in entries)
    return csv_download(request, "skip_list", "skip-list.csv", tuple(COLUMNS), cells)
