"""The pages that belong to no part: home, the way into the administration, the style guide, and what probes ask."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, TooManyFieldsSent
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from opsconsole import health, navigation, styleguide
from opsconsole.access import Scoping, public, requires
from opsconsole.models import USE_CONSOLE
from opsconsole.words import number, size


@require_safe
@requires(USE_CONSOLE, scoping=Scoping.APART)
def home(request: HttpRequest) -> HttpResponse:
    """The overview, or the first place that is open to the person."""
    return redirect(navigation.first_open(request.user))


@require_safe
@requires(USE_CONSOLE, scoping=Scoping.APART)
def admin_login(request: HttpRequest) -> HttpResponse:
    """Django's administration has a login form of its own; there is one way in here, so it is never shown."""
    if not request.user.is_staff:
        raise PermissionDenied("The administration is for staff.")
    return redirect("admin:index")


@require_safe
@requires(USE_CONSOLE, scoping=Scoping.APART)
def styleguide_page(request: HttpRequest) -> HttpResponse:
    """Every component on one page, with made-up content. For staff."""
    if not request.user.is_staff:
        raise PermissionDenied("The style guide is for staff.")
    return render(request, "styleguide.html", styleguide.content(request))


@require_safe
@never_cache
@public("a probe has no login, and hears no more than the names of the checks that fail")
def healthz(request: HttpRequest) -> HttpResponse:
    """Whether the console does its work: 200, or 503 with the names of what does not hold. A few small queries."""
    failed = health.failed_checks(timezone.now())
    return JsonResponse({"failed": failed}, status=503 if failed else 200)


@require_safe
@never_cache
@public("a probe has no login, and hears nothing")
def livez(request: HttpRequest) -> HttpResponse:
    """Whether this process answers, whatever it depends on: what a restart could mend."""
    return JsonResponse({"failed": []})


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What Django refuses before a view has seen it, in a sentence that says what is allowed."""
    if isinstance(exception, RequestDataTooBig):
        most = size(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        return _refused(request, 413, f"The form is larger than the {most} that are taken at once; send it in parts.")
    if isinstance(exception, TooManyFieldsSent):
        most = number(settings.DATA_UPLOAD_MAX_NUMBER_FIELDS)
        return _refused(request, 400, f"The form has more than the {most} fields that are taken at once; select fewer.")
    return render(request, "400.html", status=400)


def _refused(request: HttpRequest, status: int, sentence: str) -> HttpResponse:
    return render(request, "problem.html", {"sentence": sentence, "status": status}, status=status)
