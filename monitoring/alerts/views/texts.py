"""Each text that the console sends, as it would look."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from monitoring.alerts.access import VIEW
from monitoring.alerts.texts import registered_texts, text_named
from monitoring.alerts.texts import render as render_text
from opsconsole.access import requires


@require_safe
@requires(VIEW)
def text_list(request: HttpRequest) -> HttpResponse:
    return render(request, "alerts/texts.html", {"texts": registered_texts(), "tab": "texts"})


@require_safe
@requires(VIEW)
def text_page(request: HttpRequest, name: str) -> HttpResponse:
    found = text_named(name)
    if found is None:
        raise Http404("There is no such text.")
    content = {"name": found, "text": render_text(found.template, found.example)}
    return render(request, "alerts/text.html", content)
