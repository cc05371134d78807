"""Ids in any shape, as a page: what people have in, what is wrong with it and the list in another shape out."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST

from opsconsole import estate
from opsconsole.access import Scoping, requires
from opsconsole.downloads import CSV, TEXT, download
from opsconsole.errors import UsageError
from sync.access import RUN, STAGE, VIEW
from sync.customers import shown_id
from sync.form_fields import show_as_typed
from sync.forms import refused_into
from sync.ids_form import IdsForm
from sync.operations.byhand import MOST_COMPARED
from sync.operations.ids import (
    MOST_CHARACTERS,
    MOST_IDS,
    AmbiguousColumnError,
    Output,
    Subject,
    decode,
    rules_of,
)
from sync.operations.ids.conversion import Conversion, convert

WRONG_SHOWN = 200
KEPT_CHARACTERS = 5_000_000
"""A longer file is not written back into the form: no browser is at ease with it."""


@require_http_methods(["GET", "HEAD", "POST"])
@requires(VIEW, scoping=Scoping.NARROWED)
def ids_page(request: HttpRequest) -> HttpResponse:
    """The form; a POST answers below it. It changes nothing: a list is only too long for an address."""
    form = IdsForm(request.POST, request.FILES) if request.method == "POST" else IdsForm()
    found = None
    if form.is_valid():
        with refused_into(form, "ids"):
            found = _answer(form)
    content = _content(request, found) if found else {}
    return render(
        request, "sync/ids.html", {"form": form, "most": MOST_IDS} | content, status=400 if form.errors else 200
    )


def _answer(form: IdsForm) -> Conversion | None:
    """None where the column has to be named; the form says so."""
    values = form.cleaned_data
    subject = Subject(values["of"])
    text = _text_of(form, subject)
    try:
        return convert(text, subject, to=Output(values["to"]), column=values["column"])
    except AmbiguousColumnError as error:
        form.add_error("column", str(error))
        return None


def _text_of(form: IdsForm, subject: Subject) -> str:
    """What was pasted, or uploaded: then it stands in the form from here on. Raises UsageError."""
    file = form.cleaned_data["file"]
    text: str = form.cleaned_data["ids"]
    if file is not None:
        what = f"The file {file.name[:80]!r}"
        if file.size > MOST_CHARACTERS:
            raise UsageError(f"{what} has {file.size:,} bytes; allowed are {MOST_CHARACTERS:,}.")
        text = decode(file.read(), rules_of(subject, estate.current().source).kind, what)
        if len(text) <= KEPT_CHARACTERS:
            show_as_typed(form, "ids", text)
    if not text.strip():
        raise UsageError("Paste at least one id, or choose a file.")
    return text


def _content(request: HttpRequest, found: Conversion) -> dict[str, Any]:
    unknown = found.looked_up.unknown if found.looked_up else ()
    wrong = [(bad.line, bad.text, bad.why) for bad in found.report.malformed]
    wrong += [(one.line, shown_id(str(one.key)), "is not in the source") for one in unknown]
    wrong.sort(key=lambda row: row[0])
    subject = found.report.rules.subject
    return {
        "found": found,
        "valid": len(found.keys),
        "unknown": len(unknown),
        "wrong": wrong[:WRONG_SHOWN],
        "more_wrong": found.report.malformed_total + len(unknown) - min(len(wrong), WRONG_SHOWN),
        "of": subject.value,
        "tasks": subject is Subject.TASKS,
        "may_stage": request.user.has_perm(STAGE.name) and subject is Subject.ORGANIZATIONS,
        "may_run": request.user.has_perm(RUN.name),
        "most_by_hand": MOST_COMPARED,
    }


@require_POST
@requires(VIEW, scoping=Scoping.NARROWED)
def ids_file(request: HttpRequest) -> StreamingHttpResponse:
    """The list of the answer as a file, in the shape it has there. The source is not asked again. Raises UsageError."""
    of, to = request.POST.get("of", ""), request.POST.get("to", "")
    if of not in set(Subject) or to not in set(Output):
        raise UsageError("The list cannot be given: what it is of, or its shape, is not known.")
    found = convert(request.POST.get("ids", ""), Subject(of), to=Output(to), ask_source=False)
    kind, ending = (CSV, "csv") if to == Output.CSV else (TEXT, "txt")
    return download(request, "ids", f"{of}-{to}.{ending}", [f"{found.text}\n"], kind=kind)
