"""A page that asks for a reason, then does one thing: what the acts on queues, workers and runs have in common."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from opsconsole.errors import ConsoleError
from sync.forms import ReasonForm


def ask_and_do(
    request: HttpRequest, act: Callable[[str], str], *, template: str, then: str, content: dict[str, object]
) -> HttpResponse:
    """GET asks; POST calls `act` with the reason, says the sentence that it returns, and goes to `then`, a route or an
    address."""
    form = ReasonForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            messages.success(request, act(form.cleaned_data["reason"]))
        except ConsoleError as error:
            form.add_error(None, str(error))
        else:
            return redirect(then)
    return render(request, template, content | {"form": form}, status=400 if form.errors else 200)
