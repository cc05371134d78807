"""Turns the console's own errors into a page with one clear sentence instead of a stack trace."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from opsconsole.errors import ConsoleError, UsageError


class SentenceErrorMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, ConsoleError):
            return None
        status = 400 if isinstance(error, UsageError) else 503
        return render(request, "problem.html", {"sentence": str(error), "status": status}, status=status)
