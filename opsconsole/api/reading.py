"""The document for programs, and the same as a page for people: plain HTML, since the security policy allows no
foreign script."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.views.decorators.http import require_safe

from opsconsole.access import Scoping, requires
from opsconsole.api.door import guard
from opsconsole.api.routes import Route
from opsconsole.models import USE_CONSOLE

INTRODUCTION = (
    "The same operations as the console's pages and commands. Lists come in pages by cursor, errors as problem "
    "details (RFC 9457); every POST takes an idempotency key."
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value of an address or a header. `kind` is its type and what is allowed, in words."""

    name: str
    place: str
    required: bool
    kind: str
    description: str


@dataclass(frozen=True, slots=True)
class Described:
    """One operation as the page shows it. `body` and `answer` are examples, empty where there is none."""

    method: str
    path: str
    summary: str
    description: str
    permission: str
    parameters: tuple[Parameter, ...]
    body: str
    answer: str


def addresses(document: Callable[[], dict[str, Any]]) -> list[URLPattern]:
    def openapi(request: HttpRequest) -> HttpResponse:
        return JsonResponse(document())

    @require_safe
    @requires(USE_CONSOLE, scoping=Scoping.APART)
    def docs(request: HttpRequest) -> HttpResponse:
        return render(request, "api/docs.html", {"groups": groups(document()), "introduction": INTRODUCTION})

    reading = {"GET": Route("GET", "openapi.json", USE_CONSOLE, scoping=Scoping.APART)}
    return [path("openapi.json", guard(openapi, reading), name="api_openapi"), path("docs/", docs, name="api_docs")]


def groups(document: dict[str, Any]) -> dict[str, list[Described]]:
    """The operations by group, in the order of the document."""
    found: dict[str, list[Described]] = {}
    for address, methods in document["paths"].items():
        for method, operation in methods.items():
            group = found.setdefault(operation.get("tags", [""])[0], [])
            group.append(_described(address, method, operation))
    return found


def _described(address: str, method: str, operation: dict[str, Any]) -> Described:
    answer = next(one for status, one in operation["responses"].items() if status < HTTPStatus.MULTIPLE_CHOICES)
    return Described(
        method=method.upper(),
        path=address,
        summary=operation["summary"],
        description=operation.get("description", "").replace("`", ""),
        permission=operation["x-permission"],
        parameters=tuple(map(_parameter, operation.get("parameters", ()))),
        body=_example(operation.get("requestBody", {})),
        answer=_example(answer),
    )


def _parameter(parameter: dict[str, Any]) -> Parameter:
    schema = parameter["schema"]
    bounds = f"{schema.get('minimum', '')} to {schema.get('maximum', '')}" if "maximum" in schema else ""
    length = f"at most {schema['maxLength']:,} characters" if "maxLength" in schema else ""
    kind = ", ".join(part for part in (schema.get("type", "word"), bounds, length) if part)
    description = parameter.get("description", "").replace("`", "")
    return Parameter(parameter["name"], parameter["in"], parameter["required"], kind, description)


def _example(described: dict[str, Any]) -> str:
    media = next(iter(described.get("content", {}).values()), None)
    return json.dumps(media["example"], indent=2, ensure_ascii=False) if media else ""
