"""Importing the skip list from a CSV: what would change, then exactly that."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from opsconsole.access import Scoping, requires
from opsconsole.audit import actor_of
from opsconsole.errors import UsageError
from opsconsole.keys import KeyKind
from sync.access import SKIP
from sync.form_fields import show_as_typed
from sync.forms import refused_into
from sync.operations.ids import decode
from sync.operations.skipfile import COLUMNS, MOST_CHARACTERS
from sync.operations.skipimport import ImportPlan, ListChangedError, apply_import, plan_import
from sync.skiplist_form import ApplyForm, ImportForm
from sync.skiplist_tables import ChangeTable, RowErrorTable

ROWS_SHOWN = 200


@require_http_methods(["GET", "HEAD", "POST"])
@requires(SKIP, scoping=Scoping.NARROWED)
def skip_import(request: HttpRequest) -> HttpResponse:
    """The form; a POST shows what its CSV would change, and changes nothing."""
    form = ImportForm(request.POST, request.FILES) if request.method == "POST" else ImportForm()
    if form.is_valid():
        with refused_into(form, "text"):
            text = _text_of(form)
            show_as_typed(form, "text", text)
            return _preview(request, form, text, plan_import(text, actor_of(request)))
    return _page(request, form, {}, status=400 if form.errors else 200)


def _text_of(form: ImportForm) -> str:
    file = form.cleaned_data["file"]
    if file is None:
        text: str = form.cleaned_data["text"]
    elif file.size > 4 * MOST_CHARACTERS:
        raise UsageError(f"The file has {file.size:,} bytes; allowed are {MOST_CHARACTERS:,} characters.")
    else:
        text = decode(file.read(), KeyKind.TEXT, f"The file {file.name[:80]!r}")
    if not text.strip():
        raise UsageError("Choose a CSV file, or paste one.")
    return text


def _preview(
    request: HttpRequest, form: ImportForm, text: str, plan: ImportPlan, apply_form: ApplyForm | None = None
) -> HttpResponse:
    content: dict[str, Any] = {
        "plan": plan,
        "changes": ChangeTable(plan.changes[:ROWS_SHOWN], label="What would change", request=request),
        "wrong": RowErrorTable(plan.errors[:ROWS_SHOWN], label="Rows that are wrong", request=request),
        "more_changes": max(len(plan.changes) - ROWS_SHOWN, 0),
        "more_wrong": max(len(plan.errors) - ROWS_SHOWN, 0),
        "apply_form": apply_form or ApplyForm(initial={"text": text, "digest": plan.digest}),
    }
    return _page(request, form, content, status=400 if apply_form else 200)


def _page(request: HttpRequest, form: ImportForm, content: dict[str, Any], status: int) -> HttpResponse:
    return render(request, "sync/skip_import.html", {"form": form, "columns": COLUMNS.items()} | content, status=status)


@require_POST
@requires(SKIP, scoping=Scoping.NARROWED)
def skip_apply(request: HttpRequest) -> HttpResponse:
    """Do what the preview showed; where that is no longer what would be done, show it anew and do nothing."""
    apply_form = ApplyForm(request.POST)
    text = request.POST.get("text", "")
    if apply_form.is_valid():
        values = apply_form.cleaned_data
        try:
            plan = apply_import(text, values["digest"], actor_of(request), values["reason"])
        except ListChangedError as changed:
            messages.warning(request, str(changed))
            fresh = ApplyForm(initial=values | {"text": text, "digest": changed.plan.digest})
            return _preview(request, ImportForm(initial={"text": text}), text, changed.plan, fresh)
        messages.success(request, f"Imported: {plan.sentence()}")
        return redirect("sync:skipped")
    return _preview(request, ImportForm(initial={"text": text}), text, plan_import(text, actor_of(request)), apply_form)
