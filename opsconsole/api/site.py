"""The API as a whole: the routers of all apps, one document, the addresses."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from typing import Any, cast

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, re_path
from django.utils.module_loading import autodiscover_modules
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from opsconsole.access import public
from opsconsole.api import problems, reading
from opsconsole.api.door import guard
from opsconsole.api.openapi import complete
from opsconsole.api.routes import Route, declared
from opsconsole.api.texts import StrictParser

VERSION = "1"
ROOT = "/api/v1/"


@cache
def api() -> NinjaAPI:
    """The API with the routers of every app that has an `api` module."""
    autodiscover_modules("api", "api.audit_log", "trace_page")
    made = NinjaAPI(
        title="Opsconsole",
        version=VERSION,
        urls_namespace="api",
        openapi_url=None,
        docs_url=None,
        parser=StrictParser(),
        description=reading.INTRODUCTION,
    )
    for error in (Exception, ValidationError, HttpError, Http404):  # ninja has its own for the last three
        made.add_exception_handler(error, cast(Any, problems.answer))
    for routes in declared():
        made.add_router(routes.prefix, routes.router)
    return made


def routes_by_path() -> dict[str, dict[str, Route]]:
    """Every declared route, by its path and method."""
    found: dict[str, dict[str, Route]] = {}
    for routes in declared():
        for route in routes.routes:
            found.setdefault(route.path, {})[route.method] = route
    return found


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document."""
    return complete(dict(api().get_openapi_schema(path_prefix=ROOT)), list(_all_routes()), ROOT)


def _all_routes() -> Iterator[Route]:
    for routes in declared():
        yield from routes.routes


def addresses() -> list[URLPattern]:
    """The addresses below `/api/v1/`. What was not declared with a permission has none."""
    by_path = routes_by_path_after_discovery()
    found = []
    for pattern in api().urls[0]:
        assert isinstance(pattern, URLPattern)
        methods = by_path.pop(str(pattern.pattern).replace("<", "{").replace(">", "}"), None)
        if methods:
            found.append(path(str(pattern.pattern), guard(pattern.callback, methods)))
    assert not by_path, f"declared, and unknown to ninja: {sorted(by_path)}"
    return [*found, *reading.addresses(document), re_path("", csrf_exempt(_nothing_here))]


def routes_by_path_after_discovery() -> dict[str, dict[str, Route]]:
    api()
    return routes_by_path()


@public("It answers every unknown address below the API's with 404, and reads nothing.")
def _nothing_here(request: HttpRequest) -> HttpResponse:
    detail = "There is nothing at this address; /api/v1/openapi.json lists all."
    return problems.response_of(request, HTTPStatus.NOT_FOUND, "not-found", detail)
