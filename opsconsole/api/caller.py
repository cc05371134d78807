"""Who calls: a program with a token, or a person whose session reads."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.utils import timezone

from opsconsole.access import Permission
from opsconsole.api.models import ApiToken
from opsconsole.api.problems import ProblemError
from opsconsole.api.tokens import find_token
from opsconsole.audit import Actor, Door
from opsconsole.models import User
from opsconsole.scope import UNLIMITED, Scope
from opsconsole.scoping import scope_of

SCHEME = "bearer"
READING = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True, slots=True)
class Caller:
    """`user` is None for a service; `token` None for a person whose session reads."""

    name: str
    address: str
    user: User | None
    token: ApiToken | None

    @property
    def limited_as(self) -> str:
        """Whose calls count together against the rate limit."""
        return f"token:{self.token.pk}" if self.token else f"user:{self.user and self.user.pk}"

    @property
    def actor(self) -> Actor:
        user_id = None if self.user is None else self.user.pk
        token_id = None if self.token is None else self.token.pk
        return Actor(self.name, Door.API, user_id, self.address, token_id)

    def may(self, needed: Permission) -> bool:
        """Whether the token has it and, where there is one, so does the person."""
        if self.token is not None and needed.name not in self.token.permissions:
            return False
        return self.user is None or self.user.has_perm(needed.name)

    def scope_of(self, needed: Permission) -> Scope:
        """A token acts within the scope of its person. That of a service has no limits: whoever made it had none."""
        return UNLIMITED if self.user is None else scope_of(self.user, needed)


def caller_of(request: HttpRequest) -> Caller:
    """Who calls, as `identify` found out."""
    caller = request.api_caller  # type: ignore[attr-defined]
    assert isinstance(caller, Caller)
    return caller


def identify(request: HttpRequest) -> Caller:
    """Raises ProblemError 401, for a change by a session too: a page of another site could send one."""
    header = request.headers.get("Authorization")
    address = request.META.get("REMOTE_ADDR", "")
    if header is None:
        return _of_session(request, address)
    scheme, _, secret = header.partition(" ")
    token = find_token(secret.strip(), timezone.now()) if scheme.lower() == SCHEME and secret.strip() else None
    if token is None:
        raise unauthorized("The token is not known, has expired, or was revoked. Make a new one under API tokens.")
    return Caller(token.acts_as, address, token.user, token)


def _of_session(request: HttpRequest, address: str) -> Caller:
    user = request.user
    if isinstance(user, AnonymousUser):
        raise unauthorized("Send a token: “Authorization: Bearer ops_…”. People make one under API tokens.")
    if request.method not in READING:
        raise unauthorized("A session only reads here; what changes something needs a token.")
    return Caller(user.get_username(), address, user, None)


def unauthorized(detail: str) -> ProblemError:
    headers = {"WWW-Authenticate": 'Bearer realm="opsconsole"'}
    return ProblemError(HTTPStatus.UNAUTHORIZED, "unauthorized", detail, headers)
