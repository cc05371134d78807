"""Errors as programs read them: problem details (RFC 9457), one clear sentence in each, never a stack trace."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from ninja import Field, Schema
from ninja.errors import HttpError, ValidationError

from opsconsole.errors import ConsoleError, OutsideDataError, UsageError

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"


class FieldProblem(Schema):
    """What is wrong with one value of the request."""

    where: str = Field(examples=["body.size"])
    message: str = Field(examples=["Input should be less than or equal to 10000"])


class Problem(Schema):
    """An error. `type` is a stable word to branch on; `detail` is for people and may change."""

    type: str = Field(examples=["urn:opsconsole:refused"])
    title: str = Field(examples=["Refused"])
    status: int = Field(examples=[400])
    detail: str = Field(examples=["Job 12 is done; only ended or waiting ones can be retried."])
    instance: str = Field(examples=["/api/v1/jobs/12/retry"])
    errors: list[FieldProblem] = Field(default_factory=list)


class ProblemError(Exception):
    """An error of the API itself; `kind` becomes the problem's type. `errors` names values that cannot be used."""

    errors: Sequence[Mapping[str, str]] = ()

    def __init__(self, status: HTTPStatus, kind: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.headers = dict(headers or {})


def response_of(
    request: HttpRequest,
    status: HTTPStatus,
    kind: str,
    detail: str,
    *,
    errors: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    content: dict[str, Any] = {
        "type": f"urn:opsconsole:{kind}",
        "title": kind.replace("-", " ").capitalize(),
        "status": int(status),
        "detail": detail,
        "instance": request.path,
        "errors": list(errors),
    }
    return JsonResponse(content, status=status, content_type=CONTENT_TYPE, headers=dict(headers or {}))


def answer(request: HttpRequest, error: Exception) -> HttpResponse:
    """The problem that an exception is to a program. What nobody expected is logged, and told without details."""
    for kind, write in _WRITERS:
        if isinstance(error, kind):
            return write(request, error)
    logger.error("%s %s failed", request.method, request.path, exc_info=error)
    detail = "The console made a mistake; its log has the details. Trying again later may help."
    return response_of(request, HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", detail)


def _own(request: HttpRequest, error: Any) -> HttpResponse:
    return response_of(request, error.status, error.kind, error.detail, errors=error.errors, headers=error.headers)


def _usage(request: HttpRequest, error: Any) -> HttpResponse:
    fields: Mapping[str, str] = getattr(error, "problems", {})
    errors = [{"where": f"body.{name}", "message": sentence} for name, sentence in fields.items()]
    return response_of(request, HTTPStatus.BAD_REQUEST, "refused", str(error), errors=errors)


def _outside(request: HttpRequest, error: Any) -> HttpResponse:
    return response_of(request, HTTPStatus.BAD_GATEWAY, "bad-outside-data", str(error))


def _unavailable(request: HttpRequest, error: Any) -> HttpResponse:
    headers = {"Retry-After": "10"}
    return response_of(request, HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", str(error), headers=headers)


def _missing(request: HttpRequest, error: Any) -> HttpResponse:
    return response_of(request, HTTPStatus.NOT_FOUND, "not-found", "There is nothing at this address.")


def _forbidden(request: HttpRequest, error: Any) -> HttpResponse:
    return response_of(request, HTTPStatus.FORBIDDEN, "forbidden", str(error) or "This is not allowed.")


def _too_large(request: HttpRequest, error: Any) -> HttpResponse:
    return response_of(request, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", "The body is larger than allowed.")


def _suspicious(request: HttpRequest, error: Any) -> HttpResponse:
    return response_of(request, HTTPStatus.BAD_REQUEST, "bad-request", "The request cannot be read.")


def _validation(request: HttpRequest, error: Any) -> HttpResponse:
    errors = [{"where": _where(one["loc"]), "message": str(one["msg"])} for one in error.errors]
    detail = "; ".join(f"{one['where']}: {one['message']}" for one in errors)
    return response_of(request, HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", detail, errors=errors)


def _where(location: Sequence[object]) -> str:
    """`body.size` of ninja's `("body", "options", "size")`: the name of the function's own argument says nothing."""
    source, *path = [str(part) for part in location]
    return ".".join([source, *(path[1:] if source in ("body", "query") and len(path) > 1 else path)])


def _http(request: HttpRequest, error: Any) -> HttpResponse:
    if isinstance(error.__cause__, ProblemError):  # ninja says of every body that cannot be read the same
        return _own(request, error.__cause__)
    return response_of(request, HTTPStatus(error.status_code), "bad-request", str(error))


_WRITERS = (
    (ProblemError, _own),
    (UsageError, _usage),
    (OutsideDataError, _outside),
    (ConsoleError, _unavailable),
    (Http404, _missing),
    (PermissionDenied, _forbidden),
    (RequestDataTooBig, _too_large),
    (SuspiciousOperation, _suspicious),
    (ValidationError, _validation),
    (HttpError, _http),
)
