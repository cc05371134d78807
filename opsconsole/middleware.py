"""What holds for every answer: the console's own errors as one clear sentence, a list's file in place of its page, and
what a page may ask of a browser."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from opsconsole.downloads import DownloadInstead
from opsconsole.errors import ConsoleError, UsageError
from opsconsole.visible import visible


class SentenceErrorMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponseBase | None:
        if isinstance(error, DownloadInstead):
            return error.response
        if not isinstance(error, ConsoleError):
            return None
        status = 400 if isinstance(error, UsageError) else 503
        return render(request, "problem.html", {"sentence": str(error), "status": status}, status=status)


class PermissionsPolicyMiddleware:
    """No page asks for a device or a place, and so none may; passkeys are not named, since signing in uses them."""

    POLICY = ", ".join(
        f"{feature}=()"
        for feature in ("camera", "display-capture", "geolocation", "microphone", "midi", "payment", "serial", "usb")
    )

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Permissions-Policy", self.POLICY)
        return response


class VisibleTextMiddleware:
    """For every page at once, whatever it shows: escaping makes texts harmless to the browser, this to the reader."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if not response.streaming and response.headers.get("Content-Type", "").startswith("text/html"):
            response.content = visible(response.content.decode()).encode()  # type: ignore[attr-defined]
        return response
