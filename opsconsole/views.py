"""The pages that belong to no part: home, the way into the administration, the style guide."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from opsconsole import styleguide
from opsconsole.access import requires
from opsconsole.models import USE_CONSOLE


@require_safe
@requires(USE_CONSOLE)
def home(request: HttpRequest) -> HttpResponse:
    return redirect("pipeline:overview")


@require_safe
@requires(USE_CONSOLE)
def admin_login(request: HttpRequest) -> HttpResponse:
    """Django's administration has a login form of its own; there is one way in here, so it is never shown."""
    if not request.user.is_staff:
        raise PermissionDenied("The administration is for staff.")
    return redirect("admin:index")


@require_safe
@requires(USE_CONSOLE)
def styleguide_page(request: HttpRequest) -> HttpResponse:
    """Every component on one page, with made-up content. For staff."""
    if not request.user.is_staff:
        raise PermissionDenied("The style guide is for staff.")
    return render(request, "styleguide.html", styleguide.content(request))
