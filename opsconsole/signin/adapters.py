"""What the console wants of django-allauth: nobody signs up, and groups of the identity provider give the roles."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from django.conf import settings
from django.contrib.auth.models import Group
from django.db import transaction
from django.http import HttpRequest
from django.shortcuts import render

from opsconsole import audit
from opsconsole.models import User
from opsconsole.sealed import cipher

FACTORS = "second factors"
QUIET = ("account/messages/logged_in.txt", "account/messages/logged_out.txt")


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        return False  # the console's own elevation asks, once for everything (`signin/urls.py`)

    def add_message(
        self, request: HttpRequest, level: int, message_template: Any = None, *args: Any, **kw: Any
    ) -> None:
        if message_template not in QUIET:
            super().add_message(request, level, message_template, *args, **kw)


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Secrets of authenticator apps are encrypted with the console's key: a copy of the database alone is no factor."""

    def encrypt(self, text: str) -> str:
        return cipher(FACTORS).encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return cipher(FACTORS).decrypt(encrypted_text.encode()).decode()


class ProviderAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """Who comes from the identity provider has the roles that their groups there say, at each sign-in anew."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return bool(roles_of(sociallogin))

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        roles = roles_of(sociallogin)
        if sociallogin.is_existing:
            give_roles(sociallogin.user, roles)
        if not roles:
            raise ImmediateHttpResponse(render(request, "signin/no_role.html", status=403))

    def save_user(self, request: HttpRequest, sociallogin: SocialLogin, form: Any = None) -> User:
        user: User = super().save_user(request, sociallogin, form)
        give_roles(user, roles_of(sociallogin))
        return user


def roles_of(login: SocialLogin) -> set[str]:
    """Names of the console's groups for the groups that the provider says the person is in."""
    said = login.account.extra_data
    found: set[str] = set()
    for claims in (said.get("userinfo") or {}, said.get("id_token") or {}):
        groups = claims.get(settings.OIDC_GROUPS_CLAIM) or []
        found |= {str(group) for group in ([groups] if isinstance(groups, str) else groups)}
    return {settings.OIDC_GROUPS[group] for group in found if group in settings.OIDC_GROUPS}


@transaction.atomic
def give_roles(user: User, roles: set[str]) -> None:
    """Make the person's groups these. Audited where that changes something."""
    before = set(user.groups.values_list("name", flat=True))
    if before == roles:
        return
    user.groups.set(Group.objects.filter(name__in=roles))
    actor = audit.Actor("identity provider", audit.Door.PAGE)
    audit.record(
        actor,
        "person.roles_changed",
        f"user:{user.pk}",
        before={"groups": sorted(before)},
        after={"groups": sorted(roles)},
    )
