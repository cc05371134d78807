"""Tokens of programs: made, shown once, found by their digest, revoked."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from opsconsole import audit
from opsconsole.access import declared_permissions
from opsconsole.api.models import ApiToken, TokenState
from opsconsole.errors import UsageError
from opsconsole.models import User
from opsconsole.scoping import holds_everywhere

PREFIX = "ops_"
HINT_LENGTH = 10
LONGEST_LIFE_DAYS = 366
USED_EVERY = timedelta(minutes=1)
"""How exact the last use is: a write on every call would make each reading a writing one."""


def make_token(
    maker: User,
    actor: audit.Actor,
    *,
    name: str,
    permissions: Sequence[str],
    days: int,
    service: str = "",
) -> tuple[ApiToken, str]:
    """A new token of `maker`, or of the service named, and its secret, which nobody can be shown again.

    Raises UsageError for a life that is too long, no permission, or one that `maker` does not hold. A person's token is
    limited as the person is; a service's is not, so each of its permissions has to be held without limits.
    """
    _require_possible(maker, permissions, days, for_service=bool(service))
    secret = PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        token = ApiToken.objects.create(
            name=name,
            user=None if service else maker,
            service=service,
            permissions=sorted(set(permissions)),
            digest=digest_of(secret),
            hint=secret[:HINT_LENGTH],
            created_by=actor.name,
            expires_at=timezone.now() + timedelta(days=days),
        )
        audit.record(
            actor,
            "token.made",
            f"token:{token.pk}",
            name=name,
            acts_as=token.acts_as,
            permissions=token.permissions,
            expires_at=token.expires_at.isoformat(),
        )
    return token, secret


def _require_possible(maker: User, permissions: Sequence[str], days: int, *, for_service: bool) -> None:
    if not 1 <= days <= LONGEST_LIFE_DAYS:
        raise UsageError(f"A token of {days} days cannot be made; allowed are 1 to {LONGEST_LIFE_DAYS}.")
    if not permissions:
        raise UsageError("A token without a permission can do nothing; choose at least one.")
    lacking = sorted(name for name in permissions if name not in grantable(maker))
    if lacking:
        raise UsageError(f"You do not hold {', '.join(lacking)[:200]}, so no token can have it from you.")
    limited = sorted(set(permissions) - set(held_everywhere(maker))) if for_service else []
    if limited:
        raise UsageError(
            f"Your groups limit {', '.join(limited)[:200]} to some organizations or record sources, and a service's "
            "token has no limits; make one of your own."
        )


def grantable(maker: User) -> tuple[str, ...]:
    """The declared permissions that `maker` holds, in order."""
    return tuple(sorted(one.name for one in declared_permissions() if maker.has_perm(one.name)))


def held_everywhere(maker: User) -> tuple[str, ...]:
    """Those of `grantable` that are not limited."""
    return tuple(one.name for one in declared_permissions() if holds_everywhere(maker, one))


def digest_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def find_token(secret: str, now: datetime) -> ApiToken | None:
    """The active token with this secret; its person is active, too. One query, and a write once a minute."""
    token = ApiToken.objects.select_related("user").filter(digest=digest_of(secret)).first()
    if token is None or token.state_at(now) is not TokenState.ACTIVE:
        return None
    if token.user is not None and not token.user.is_active:
        return None
    if token.last_used_at is None or token.last_used_at < now - USED_EVERY:
        stale = Q(last_used_at=None) | Q(last_used_at__lt=now - USED_EVERY)
        ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=Now())
    return token


def revoke(token: ApiToken, actor: audit.Actor, reason: str = "") -> None:
    """End the token for good, from its next call on. Raises UsageError where it was revoked before."""
    with transaction.atomic():
        left = ApiToken.objects.filter(pk=token.pk, revoked_at=None)
        if not left.update(revoked_at=Now(), revoked_by=actor.name):
            raise UsageError(f"The token {token.name} was revoked before; nothing was changed.")
        audit.record(actor, "token.revoked", f"token:{token.pk}", reason=reason, name=token.name, acts_as=token.acts_as)
