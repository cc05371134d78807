"""The limits, and changing them."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from monitoring.pipeline import limits
from monitoring.pipeline.access import CHANGE_LIMITS
from monitoring.pipeline.forms import LimitsForm
from monitoring.pipeline.models import ChangedLimit
from monitoring.pipeline.operations.limits import change_limits
from opsconsole.access import requires
from opsconsole.audit import actor_of
from opsconsole.words import counted


@require_http_methods(["GET", "HEAD", "POST"])
@requires(CHANGE_LIMITS)
def limits_page(request: HttpRequest) -> HttpResponse:
    form = LimitsForm(request.POST if request.method == "POST" else None, now=limits.current())
    if form.is_valid():
        changed = change_limits(form.values(), actor_of(request), form.cleaned_data["reason"])
        said = f"{counted(len(changed), 'limit')} changed."
        messages.success(request, said if changed else "Nothing was changed.")
        return redirect("pipeline:limits")
    content = {"form": form, "changed": ChangedLimit.objects.order_by("name")}
    return render(request, "pipeline/limits.html", content, status=400 if form.errors else 200)
