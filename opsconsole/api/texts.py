"""What no text of a request may have: PostgreSQL keeps no NUL, and nothing can write a lone surrogate."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, NoReturn

from django.http import HttpRequest
from django.utils.datastructures import MultiValueDict
from ninja.parser import Parser

from opsconsole.api.problems import ProblemError

DEEPEST = 20


class StrictParser(Parser):
    """JSON as the standard has it (no NaN), with texts that can be kept."""

    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        try:
            content = json.loads(request.body, parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            raise _unreadable("The body is no JSON document.") from error
        require_texts(content)
        if not isinstance(content, dict):
            raise _unreadable("The body is no JSON object.")
        return content

    def parse_querydict(
        self, data: MultiValueDict[str, Any], list_fields: list[str], request: HttpRequest
    ) -> dict[str, Any]:
        for name, values in data.lists():
            require_texts([name, *values])
        return super().parse_querydict(data, list_fields, request)


def require_texts(content: object, depth: int = 0) -> None:
    """Raises ProblemError 400 for a text that cannot be kept, or for nesting without end."""
    if depth > DEEPEST:
        raise _unreadable("The body is nested too deeply.")
    if isinstance(content, str):
        if "\x00" in content or any("\ud800" <= character <= "\udfff" for character in content):
            raise _unreadable("A text has characters that cannot be kept (NUL, or half of a surrogate pair).")
    elif isinstance(content, dict):
        for name, value in content.items():
            require_texts(name, depth + 1)
            require_texts(value, depth + 1)
    elif isinstance(content, list):
        for value in content:
            require_texts(value, depth + 1)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _unreadable(detail: str) -> ProblemError:
    return ProblemError(HTTPStatus.BAD_REQUEST, "bad-request", detail)
