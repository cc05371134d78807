"""The window and the limits of a record source: what they are, and changing them."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from monitoring.records.access import CHANGE_LIMITS
from monitoring.records.forms import LimitsForm
from monitoring.records.operations import limits
from monitoring.records.views.common import page_content, standing_or_404
from opsconsole.access import Scoping, requires
from opsconsole.audit import actor_of
from sync.forms import ReasonForm


@require_http_methods(["GET", "HEAD", "POST"])
@requires(CHANGE_LIMITS, scoping=Scoping.NARROWED)
def change(request: HttpRequest, name: str) -> HttpResponse:
    standing = standing_or_404(name)
    form = LimitsForm(standing, request.POST if request.method == "POST" else None)
    if form.is_valid():
        wanted = form.cleaned_data
        limits.change(
            standing.source, wanted["ages"], wanted["limits"], actor_of(request), wanted["reason"], timezone.now()
        )
        messages.success(request, f"Window and limits of {standing.source.label} are changed, for everybody.")
        return redirect("records:breakdown", name)
    content = page_content(request, standing, "limits") | {"form": form, "reset_form": ReasonForm(auto_id="reset-%s")}
    return render(request, "records/limits.html", content, status=400 if form.errors else 200)


@require_POST
@requires(CHANGE_LIMITS, scoping=Scoping.NARROWED)
def reset(request: HttpRequest, name: str) -> HttpResponseRedirect:
    """Back to the estate's."""
    standing = standing_or_404(name)
    form = ReasonForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Say why, in a few words; nothing was changed.")
    elif limits.reset(standing.source, actor_of(request), form.cleaned_data["reason"]):
        messages.success(request, f"{standing.source.label} has the estate's window and limits again.")
    return redirect("records:limits", name)
