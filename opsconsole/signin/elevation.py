"""Elevation: what acts on customers' data asks for a password or a second factor that is not older than 15 minutes.

A sign-in counts. Otherwise the same address answers with a form that has everything that was typed in hidden fields;
once the person has confirmed, the act goes on with it. Nothing is kept on the server, and nothing typed is lost.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from allauth.account.forms import ReauthenticateForm as PasswordForm
from allauth.account.internal.flows.login import get_authentication_records, record_authentication
from allauth.core import ratelimit
from allauth.mfa.base.forms import ReauthenticateForm as CodeForm
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.forms import ReauthenticateWebAuthnForm as PasskeyForm
from allauth.mfa.webauthn.internal import auth as passkeys
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render

PREFIX = "confirm-"
SHOWN = "confirm-shown"  # the person was looking, not acting: show the page again
OWN_FIELDS = ("csrfmiddlewaretoken",)
TOO_MANY = "Too many attempts. Wait a minute, then try again."
# Each way to confirm: the field of its form, and the form.
WAYS: dict[str, type[Any]] = {"password": PasswordForm, "code": CodeForm, "credential": PasskeyForm}


def elevation_of(request: HttpRequest) -> str:
    """How the person last confirmed who they are (`password`, `totp`, `webauthn`, `recovery_codes`, `socialaccount`);
    empty where that is too long ago."""
    records = get_authentication_records(request, request.user)
    if not records:
        return ""
    newest = max(records, key=lambda one: one["at"])
    if time.time() - newest["at"] >= settings.ELEVATION_SECONDS:
        return ""
    return str(newest.get("type") or newest["method"])


def confirmation(request: HttpRequest) -> HttpResponse | None:
    """None where the request may go on; else the answer that asks, or that shows the page again."""
    tried = next((way for way in WAYS if PREFIX + way in request.POST), None)
    if tried is None:
        return None if elevation_of(request) else _ask(request)
    error = _try(request, tried)
    if error:
        return _ask(request, error)
    if request.POST.get(SHOWN):
        return redirect(request.get_full_path())
    request.POST = _typed(request)  # type: ignore[assignment]
    return None


def _try(request: HttpRequest, way: str) -> str:
    """Confirm by one way; empty, or a sentence."""
    if not ratelimit.consume(request, action="reauthenticate", user=request.user):
        return TOO_MANY
    form = WAYS[way]({way: request.POST[PREFIX + way]}, user=request.user)
    if not form.is_valid():
        return " ".join(str(error) for errors in form.errors.values() for error in errors)
    if way == "password":
        record_authentication(request, request.user, "password", reauthenticated=True)
    else:
        form.save()
    return ""


def _ask(request: HttpRequest, error: str = "") -> HttpResponse:
    user = request.user
    assert not isinstance(user, AnonymousUser), "routes need a login"
    kinds = set(Authenticator.objects.filter(user_id=user.pk).values_list("type", flat=True))
    content: dict[str, Any] = {
        "error": error,
        "fields": list(_pairs(_typed(request))),
        "looking": request.method != "POST" or bool(request.POST.get(SHOWN)),
        "password": user.has_usable_password(),
        "code": bool(kinds - {Authenticator.Type.WEBAUTHN}),
        "passkey": Authenticator.Type.WEBAUTHN in kinds,
        "minutes": settings.ELEVATION_SECONDS // 60,
        "files": bool(request.FILES),
    }
    if content["passkey"]:
        content["options"] = passkeys.begin_authentication(user)
    return render(request, "signin/confirm.html", content, status=403)


def _typed(request: HttpRequest) -> QueryDict:
    """What the person typed into the form that they wanted to send."""
    typed = request.POST.copy()
    for name in [name for name in typed if name.startswith(PREFIX) or name in OWN_FIELDS]:
        del typed[name]
    return typed


def _pairs(typed: QueryDict) -> Iterator[tuple[str, str]]:
    for name, values in typed.lists():
        for value in values:
            yield name, value
