"""Programs that call the API: a token of a person with a role, and its client."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponseBase
from django.test import Client

from opsconsole.access import Role
from opsconsole.api.models import ApiToken
from opsconsole.api.tokens import grantable, make_token
from opsconsole.audit import Actor, Door
from opsconsole.models import User
from tests.web.test_routes import person

ROOT = "/api/v1/"


class Program:
    """Calls with a token. `key`: the idempotency key of a POST."""

    def __init__(self, secret: str, token: ApiToken) -> None:
        self.token = token
        self.secret = secret
        self._client = Client(headers={"authorization": f"Bearer {secret}"}, raise_request_exception=False)

    def get(self, path: str, query: dict[str, Any] | None = None, **headers: str) -> Any:
        return self._client.get(ROOT + path, query or {}, headers=headers)

    def post(self, path: str, body: Any = None, *, key: str | None = None) -> Any:
        headers = {} if key is None else {"idempotency-key": key}
        return self._client.post(ROOT + path, body or {}, content_type="application/json", headers=headers)

    def generic(self, method: str, path: str, body: bytes = b"") -> Any:
        return self._client.generic(method, ROOT + path, body, content_type="application/json")


def token_of(user: User, permissions: tuple[str, ...] | None = None, **more: Any) -> Program:
    actor = Actor(user.get_username(), Door.PAGE, user.pk)
    wanted = grantable(user) if permissions is None else permissions
    token, secret = make_token(user, actor, name="nightly", permissions=wanted, days=7, **more)
    return Program(secret, token)


def program(role: Role | None = Role.OPERATOR, name: str = "") -> Program:
    """A program of a new person with this role, who gave it all that they may do."""
    return token_of(person(name or f"api-{role}", role, is_superuser=role is None))


def problem_of(response: HttpResponseBase) -> dict[str, Any]:
    """The problem details of a response, which it has to have."""
    assert response["Content-Type"] == "application/problem+json", getattr(response, "content", b"")[:300]
    content: dict[str, Any] = response.json()  # type: ignore[attr-defined]
    assert content["status"] == response.status_code
    assert content["type"].startswith("urn:opsconsole:")
    assert content["detail"]
    return content
