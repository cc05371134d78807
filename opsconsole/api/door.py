"""What every call goes through, in this order: who calls, how often, whether they may, and at most once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response, set_response_etag
from django.views.decorators.csrf import csrf_exempt

from opsconsole.access import answered_within, require_open
from opsconsole.api.caller import Caller, identify
from opsconsole.api.idempotency import once
from opsconsole.api.limits import Standing, count, require_within
from opsconsole.api.problems import ProblemError, answer
from opsconsole.api.routes import Route
from opsconsole.api.texts import require_texts

Callback = Callable[..., HttpResponseBase]


def guard(callback: Callback, routes: Mapping[str, Route]) -> Callback:
    """`callback` for those who may. `routes` says by method what is needed; tests read it as `permissions` of
    the result."""

    # A token is not sent by a browser on its own, and a session only reads: there is nothing for CSRF to protect.
    @csrf_exempt
    @login_not_required
    @wraps(callback)
    def guarded(request: HttpRequest, **arguments: Any) -> HttpResponseBase:
        try:
            return _answer(request, callback, routes, arguments)
        except Exception as error:  # noqa: BLE001  (the outermost place of the API: every error is a problem)
            return answer(request, error)

    guarded.permissions = {method: route.permission for method, route in routes.items()}  # type: ignore[attr-defined]
    return guarded


def _answer(
    request: HttpRequest, callback: Callback, routes: Mapping[str, Route], arguments: dict[str, Any]
) -> HttpResponseBase:
    caller, standing = _come_in(request)
    try:
        route = _route(request, routes)
        _require_permission(caller, route)
        require_texts(list(arguments.values()))
        held = caller.scope_of(route.permission)
        require_open(route.permission, route.scoping, held)
        response = answered_within(held, lambda: _call(request, callback, route, caller, arguments))
    except Exception as error:  # noqa: BLE001  (the headers belong on errors, too)
        response = answer(request, error)
    for name, value in standing.headers.items():
        response[name] = value
    return response


def _come_in(request: HttpRequest) -> tuple[Caller, Standing]:
    """Strangers are counted by their address, so that tokens cannot be guessed at leisure."""
    try:
        caller = identify(request)
    except ProblemError:
        require_within(count(f"address:{request.META.get('REMOTE_ADDR', '')}", settings.API_STRANGERS_PER_MINUTE))
        raise
    request.api_caller = caller  # type: ignore[attr-defined]
    standing = count(caller.limited_as, settings.API_CALLS_PER_MINUTE)
    require_within(standing)
    return caller, standing


def _route(request: HttpRequest, routes: Mapping[str, Route]) -> Route:
    route = routes.get(request.method or "")
    if route is None:
        allowed = ", ".join(sorted(routes))
        detail = f"{request.method} is not possible here; allowed is {allowed}."
        raise ProblemError(HTTPStatus.METHOD_NOT_ALLOWED, "method-not-allowed", detail, {"Allow": allowed})
    return route


def _require_permission(caller: Caller, route: Route) -> None:
    if not caller.may(route.permission):
        detail = f"This needs the permission {route.permission.name}."
        raise ProblemError(HTTPStatus.FORBIDDEN, "forbidden", detail)


def _call(
    request: HttpRequest, callback: Callback, route: Route, caller: Caller, arguments: dict[str, Any]
) -> HttpResponseBase:
    def act() -> HttpResponseBase:
        return callback(request, **arguments)

    if caller.token is not None and route.method == "POST":
        return once(request, caller.token, act, commits_itself=route.commits_itself)
    return _with_etag(request, act())


def _with_etag(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """What is read again unchanged is not sent again."""
    response["Cache-Control"] = "private, no-cache"
    if not isinstance(response, HttpResponse) or response.status_code != HTTPStatus.OK:
        return response
    set_response_etag(response)
    return get_conditional_response(request, etag=response["ETag"], response=response) or response
