"""Every address of signing in. Only what is listed exists: nobody signs up, and no address sends mail to strangers.

What a person changes about their own way in asks for elevation, for looking as well: the pages show secrets.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account import views as account
from allauth.mfa.base import views as factors
from allauth.mfa.recovery_codes import views as codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as passkeys
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.urls import URLPattern, URLResolver, include, path
from django.views.decorators.http import require_POST

from opsconsole.access import Scoping, public, requires
from opsconsole.models import USE_CONSOLE
from opsconsole.signin import pages
from opsconsole.signin.elevation import confirmation

STRANGER = "who signs in is not signed in yet"


def confirmed(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """The person's own settings, shown and changed only soon after they confirmed who they are."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return confirmation(request) or view(request, *args, **kwargs)

    return requires(USE_CONSOLE, elevated=False, scoping=Scoping.APART)(guarded)


urlpatterns: list[URLPattern | URLResolver] = [
    path("login/", public(STRANGER)(account.login), name="account_login"),
    path("login/second/", public(STRANGER)(factors.authenticate), name="mfa_authenticate"),
    path("login/passkey/", public(STRANGER)(passkeys.login_webauthn), name="mfa_login_webauthn"),
    path("login/inactive/", public(STRANGER)(account.account_inactive), name="account_inactive"),
    path(
        "logout/", public("whoever signs out may be out already")(require_POST(account.logout)), name="account_logout"
    ),
    path("account/", requires(USE_CONSOLE, scoping=Scoping.APART)(factors.index), name="mfa_index"),
    path("account/password/", confirmed(account.password_change), name="account_change_password"),
    path("account/app/", confirmed(totp.activate_totp), name="mfa_activate_totp"),
    path("account/app/remove/", confirmed(totp.deactivate_totp), name="mfa_deactivate_totp"),
    path("account/codes/", confirmed(codes.view_recovery_codes), name="mfa_view_recovery_codes"),
    path("account/codes/new/", confirmed(codes.generate_recovery_codes), name="mfa_generate_recovery_codes"),
    path("account/passkeys/", confirmed(passkeys.list_webauthn), name="mfa_list_webauthn"),
    path("account/passkeys/add/", confirmed(passkeys.add_webauthn), name="mfa_add_webauthn"),
    path("account/passkeys/<int:pk>/remove/", confirmed(passkeys.remove_webauthn), name="mfa_remove_webauthn"),
    path("account/sessions/", pages.sessions, name="sessions"),
    path("account/sessions/<int:number>/end/", pages.end_session, name="session_end"),
]

if settings.OIDC_SERVER:
    urlpatterns.append(path("oidc/", include("opsconsole.signin.provider_urls")))
