"""API tokens for people: their own and, for administrators, everybody's."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from opsconsole.access import Scoping, requires
from opsconsole.api import tokens
from opsconsole.api.forms import RevokeForm, TokenForm
from opsconsole.api.models import ApiToken, TokenState
from opsconsole.api.tables import TokenTable
from opsconsole.audit import actor_of
from opsconsole.errors import ConsoleError
from opsconsole.models import MANAGE_TOKENS, OWN_TOKENS, User
from opsconsole.scoping import holds_everywhere


@require_safe
@requires(OWN_TOKENS, scoping=Scoping.APART)
def token_list(request: HttpRequest) -> HttpResponse:
    rows = visible_to(_person(request))
    table = TokenTable.from_request(request, rows, label="API tokens")
    content = {"table": table, "manages": holds_everywhere(request.user, MANAGE_TOKENS)}
    return render(request, "api/tokens.html", content)


def visible_to(person: User) -> QuerySet[ApiToken]:
    """Their own tokens; all of them for those who manage them, for all organizations."""
    rows = ApiToken.objects.select_related("user")
    return rows if holds_everywhere(person, MANAGE_TOKENS) else rows.filter(user=person)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@requires(OWN_TOKENS, scoping=Scoping.APART)
def new_token(request: HttpRequest) -> HttpResponse:
    """Ask what it is for; the answer to the POST is the only page that ever shows the secret."""
    person = _person(request)
    services = holds_everywhere(person, MANAGE_TOKENS)
    form = TokenForm(request.POST if request.method == "POST" else None, maker=person, services=services)
    if form.is_valid():
        try:
            token, secret = tokens.make_token(person, actor_of(request), **form.cleaned_data)
        except ConsoleError as error:
            form.add_error(None, str(error))
        else:
            return render(request, "api/token_made.html", {"token": token, "secret": secret})
    return render(request, "api/token_new.html", {"form": form}, status=400 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(OWN_TOKENS, scoping=Scoping.APART)
def revoke_token(request: HttpRequest, number: int) -> HttpResponse:
    token = get_object_or_404(visible_to(_person(request)), pk=number)
    form = RevokeForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            tokens.revoke(token, actor_of(request), form.cleaned_data["reason"])
        except ConsoleError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, f"{token.name} is revoked; its next call is refused.")
            return redirect("tokens")
    content: dict[str, Any] = {"token": token, "form": form, "active": _is_active(token)}
    return render(request, "api/token_revoke.html", content, status=400 if form.errors else 200)


def _is_active(token: ApiToken) -> bool:
    return token.state_at(timezone.now()) is TokenState.ACTIVE


def _person(request: HttpRequest) -> User:
    return cast(User, request.user)
