"""How an app declares its part of the API: each address names its permission, or it does not exist.

An app's `api.py` makes `Routes` and decorates functions of (request, parameters …) with `read` and `act`; the functions
call `operations/` and have no logic of their own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar

from django.http import HttpRequest
from ninja import Path, Router, Schema
from pydantic import StringConstraints

from opsconsole.access import Permission, Scoping
from opsconsole.api.caller import caller_of
from opsconsole.audit import LONGEST_TICKET, Actor

F = TypeVar("F", bound=Callable[..., Any])

LARGEST_NUMBER = 2**63 - 1
LONGEST_REASON = 1_000

Number = Annotated[int, Path(ge=1, le=LARGEST_NUMBER, example=12)]
"""The number of a row, in an address."""

Why = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_REASON)]


Ticket = Annotated[str, StringConstraints(strip_whitespace=True, max_length=LONGEST_TICKET)]
"""What an act is for, in another system. `actor_of` takes it from the body, so that it is on the act's audit row."""


class Reason(Schema):
    """Why something is done, and for which ticket, for the audit log."""

    reason: Why
    ticket: Ticket = ""

    model_config = {
        "extra": "forbid",
        "json_schema_extra": {"example": {"reason": "The customer asked.", "ticket": "OPS-123"}},
    }


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one address, below `/api/v1/`. `commits_itself`: its act cannot be part of a transaction.
    `scoping` is what it is to callers whose permission is limited."""

    method: str
    path: str
    permission: Permission
    commits_itself: bool = False
    scoping: Scoping = Scoping.CLOSED


class Routes:
    """The addresses below `prefix`, which are one group in the documentation. `scoping` holds for all of them."""

    def __init__(self, title: str, prefix: str, *, scoping: Scoping = Scoping.CLOSED) -> None:
        self.prefix = prefix
        self.scoping = scoping
        self.router = Router(tags=[title])
        self.routes: list[Route] = []
        _declared.append(self)

    def read(self, path: str, permission: Permission, response: Any, **described: Any) -> Callable[[F], F]:
        """A GET of `response`, a schema or a stream of one. `described` goes to ninja: summary, description …"""
        return self._declare("GET", path, permission, {200: response}, described)

    def act(
        self,
        path: str,
        permission: Permission,
        response: Any,
        *,
        status: int = 200,
        commits_itself: bool = False,
        **described: Any,
    ) -> Callable[[F], F]:
        """A POST that changes something. It is one transaction, unless it `commits_itself` (`idempotency`)."""
        return self._declare("POST", path, permission, {status: response}, described, commits_itself=commits_itself)

    def _declare(
        self,
        method: str,
        path: str,
        permission: Permission,
        responses: dict[int, Any],
        described: dict[str, Any],
        *,
        commits_itself: bool = False,
    ) -> Callable[[F], F]:
        def register(view: F) -> F:
            full = "/".join(part for part in (self.prefix, path) if part)
            self.routes.append(Route(method, full, permission, commits_itself, self.scoping))
            response = next(iter(responses.values())) if method == "GET" else responses
            add = self.router.api_operation([method], path, response=response, operation_id=view.__name__, **described)
            add(view)
            return view

        return register


_declared: list[Routes] = []


def declared() -> tuple[Routes, ...]:
    return tuple(_declared)


def actor_of(request: HttpRequest) -> Actor:
    """Who acts, for the operation and its audit row."""
    return replace(caller_of(request).actor, ticket=_ticket_of(request))


def _ticket_of(request: HttpRequest) -> str:
    """Of a body whose schema has one, and which was found right."""
    if b'"ticket"' not in request.body:
        return ""
    body = json.loads(request.body)
    return str(body.get("ticket", "")).strip() if isinstance(body, dict) else ""
