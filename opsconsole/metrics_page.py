"""The door of `/metrics`: a token with its permission, or an address of the networks that the settings name."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus
from ipaddress import ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET
from prometheus_client import CONTENT_TYPE_LATEST

from opsconsole import metrics
from opsconsole.access import ClosedToLimitedError, public
from opsconsole.api.caller import identify
from opsconsole.api.problems import ProblemError, answer
from opsconsole.models import VIEW_METRICS

OTHER = "other"
METHODS = ("GET", "POST", "HEAD")


@require_GET
@never_cache
@public("it asks itself: for a token with the permission, or an address of METRICS_NETWORKS")
def metrics_page(request: HttpRequest) -> HttpResponse:
    try:
        _require_allowed(request)
    except ProblemError as refused:
        return answer(request, refused)
    return HttpResponse(metrics.page.text(), content_type=CONTENT_TYPE_LATEST)


def _require_allowed(request: HttpRequest) -> None:
    """Raises ProblemError 401 or 403."""
    if in_networks(request.META.get("REMOTE_ADDR", ""), settings.METRICS_NETWORKS):
        return
    caller = identify(request)
    if not caller.may(VIEW_METRICS):
        raise ProblemError(HTTPStatus.FORBIDDEN, "forbidden", f"This needs the permission {VIEW_METRICS.name}.")
    if caller.scope_of(VIEW_METRICS).limited:
        raise ProblemError(HTTPStatus.FORBIDDEN, "forbidden", str(ClosedToLimitedError(VIEW_METRICS)))


def in_networks(address: str, networks: list[str]) -> bool:
    """Whether the address is in one of the networks; one that is no address is in none."""
    try:
        place = ip_address(address)
    except ValueError:
        return False
    return any(place in ip_network(one, strict=False) for one in networks)


class RequestTimes:
    """Middleware, the outermost: how long requests take, by method, part of the console and kind of answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        response = self.get_response(request)
        method = request.method if request.method in METHODS else OTHER
        labels = (method, part_of(request), f"{response.status_code // 100}xx")
        metrics.REQUEST_SECONDS.labels(*labels).observe(time.perf_counter() - began)
        return response


def part_of(request: HttpRequest) -> str:
    """The first word of the route that was taken: `sync`, `api`, `pipeline`; `other` where none was."""
    match = request.resolver_match
    return (match.route.partition("/")[0] or "home") if match else OTHER
