"""What the generated OpenAPI document lacks: errors, permissions, tokens, headers."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from opsconsole.api.examples import example_of
from opsconsole.api.idempotency import HEADER, LONGEST_KEY
from opsconsole.api.problems import CONTENT_TYPE, Problem
from opsconsole.api.routes import Route

READ_PROBLEMS = (400, 401, 403, 404, 422, 429, 500, 502, 503)
ACT_PROBLEMS = (*READ_PROBLEMS, 409, 413)
REF = "#/components/schemas/{model}"
COUNT = {"schema": {"type": "integer"}}
LIMIT_HEADERS = {
    "RateLimit-Limit": {"description": "Calls a minute of this token.", **COUNT},
    "RateLimit-Remaining": {"description": "Calls left in this minute.", **COUNT},
    "RateLimit-Reset": {"description": "Seconds until the next minute begins.", **COUNT},
}
ETAG = {"ETag": {"description": "For If-None-Match: unchanged is answered with 304.", "schema": {"type": "string"}}}
KEY_PARAMETER = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "Any text of the caller's. Sent again with the same body within 24 hours, the act is not repeated "
    "and the answer is the same; with another body it is refused with 409.",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[A-Za-z0-9._:-]+$"},
    "example": "nightly-sync-2026-11-21",
}


def complete(document: dict[str, Any], routes: Iterable[Route], root: str) -> dict[str, Any]:
    """The document with what every operation has in common added to each."""
    components = document["components"]
    schema = Problem.model_json_schema(ref_template=REF, mode="serialization")
    components["schemas"] |= schema.pop("$defs", {}) | {"Problem": schema}
    components["responses"] = {"Problem": _problem_response()}
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "A token made under API tokens."},
        "session": {"type": "apiKey", "in": "cookie", "name": "sessionid", "description": "A person's; reads only."},
    }
    for route in routes:
        operation = document["paths"][root + route.path][route.method.lower()]
        _complete(operation, route)
        for described in (operation.get("requestBody", {}), *operation["responses"].values()):
            for media in described.get("content", {}).values():
                media["example"] = example_of(media["schema"], components["schemas"])
    return document


def _problem_response() -> dict[str, Any]:
    content = {CONTENT_TYPE: {"schema": {"$ref": REF.format(model="Problem")}}}
    return {"description": "Problem details (RFC 9457).", "headers": LIMIT_HEADERS, "content": content}


def _complete(operation: dict[str, Any], route: Route) -> None:
    acts = route.method == "POST"
    operation["x-permission"] = route.permission.name
    operation["security"] = [{"token": []}] if acts else [{"token": []}, {"session": []}]
    for parameter in operation.get("parameters", []):
        _tidy(parameter)
    for response in operation["responses"].values():
        response["headers"] = LIMIT_HEADERS if acts else LIMIT_HEADERS | ETAG
    for status in ACT_PROBLEMS if acts else READ_PROBLEMS:
        operation["responses"][status] = {"$ref": "#/components/responses/Problem"}
    if acts:
        operation["parameters"] = [*operation.get("parameters", []), KEY_PARAMETER]
    else:
        operation["responses"][304] = {"description": HTTPStatus.NOT_MODIFIED.phrase}


def _tidy(parameter: dict[str, Any]) -> None:
    """An address has no null, and OpenAPI's examples of a parameter are no list."""
    schema = parameter["schema"]
    present = [one for one in schema.pop("anyOf", []) if one.get("type") != "null"]
    if present:
        schema |= present[0]
    examples = parameter.pop("examples", None) or schema.get("examples")
    if examples:
        parameter["example"] = examples[0]
