"""The addresses that jobs elsewhere ping, compatible with Healthchecks' clients. No login, and nothing is told."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from monitoring.schedules.models import BODY_BYTES
from monitoring.schedules.operations.pinging import Arrival, Taken, take, take_by_name
from monitoring.schedules.pings import PingKind
from opsconsole.access import public

WHY = "jobs elsewhere ping an unguessable address and have no login"
METHODS = ["GET", "HEAD", "POST"]
WORDS = {"start": PingKind.START, "fail": PingKind.FAIL, "log": PingKind.LOG}
MOST_EXIT_STATUS = 255

ANSWERS = {
    Taken.KEPT: (200, "OK"),
    Taken.MADE: (201, "Created"),
    Taken.LIMITED: (429, "rate limit exceeded"),
    Taken.UNKNOWN: (404, "not found"),
}


class _BadPingError(ValueError):
    """A ping that says something that pings do not say."""


@csrf_exempt
@require_http_methods(METHODS)
@public(WHY)
def by_code(request: HttpRequest, code: UUID, said: str = "") -> HttpResponse:
    try:
        arrival = _arrival(request, said)
    except _BadPingError as error:
        return _text(400, str(error))
    return _text(*ANSWERS[take(code, arrival)])


@csrf_exempt
@require_http_methods(METHODS)
@public(WHY)
def by_name(request: HttpRequest, key: str, name: str, said: str = "") -> HttpResponse:
    try:
        arrival = _arrival(request, said)
    except _BadPingError as error:
        return _text(400, str(error))
    return _text(*ANSWERS[take_by_name(key, name, arrival, create=request.GET.get("create") == "1")])


def _text(status: int, words: str) -> HttpResponse:
    response = HttpResponse(words, status=status, content_type="text/plain; charset=utf-8")
    response["Cache-Control"] = "no-store"
    return response


def _arrival(request: HttpRequest, said: str) -> Arrival:
    kind, exit_status = _meaning(said)
    body = request.read(BODY_BYTES) if request.method == "POST" else b""
    return Arrival(kind, exit_status, _rid(request), request.method or "", request.headers.get("User-Agent", ""), body)


def _meaning(said: str) -> tuple[PingKind, int | None]:
    """What the end of the address says: nothing is a success, a number the exit status of the job."""
    if said in WORDS:
        return WORDS[said], None
    if not said:
        return PingKind.SUCCESS, None
    if not (said.isascii() and said.isdigit()) or int(said[:4]) > MOST_EXIT_STATUS:
        raise _BadPingError("invalid url format")
    return (PingKind.FAIL if int(said) else PingKind.SUCCESS), int(said)


def _rid(request: HttpRequest) -> UUID | None:
    text = request.GET.get("rid")
    if text is None:
        return None
    try:
        return UUID(text)
    except ValueError:
        raise _BadPingError("invalid uuid format") from None
