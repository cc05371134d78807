"""Single sign-on against a provider on loopback: groups there are roles here, at each log-in anew."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import include, path
from pytest_django import Settings

from opsconsole.models import AuditEntry, User
from opsconsole.urls import urlpatterns as own_addresses

pytestmark = pytest.mark.django_db
urlpatterns = [*own_addresses, path("oidc/", include("opsconsole.signin.provider_urls"))]


class Provider(BaseHTTPRequestHandler):
    """Says of everybody what `claims` has."""

    claims: ClassVar[dict[str, Any]] = {}
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        base = f"http://{self.headers['Host']}"
        self._answer(
            {
                "issuer": base,
                "authorization_endpoint": f"{base}/authorize",
                "token_endpoint": f"{base}/token",
                "userinfo_endpoint": f"{base}/userinfo",
                "jwks_uri": f"{base}/keys",
            }
            if self.path.startswith("/.well-known/")
            else self.claims
        )

    def do_POST(self) -> None:
        self.asked.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        base = f"http://{self.headers['Host']}"
        times = {"iat": int(time.time()), "exp": int(time.time()) + 60}
        token = jwt.encode({"iss": base, "aud": "console", **times, **self.claims}, "k" * 32, algorithm="HS256")
        self._answer({"access_token": "a", "token_type": "Bearer", "expires_in": 60, "id_token": token})

    def _answer(self, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Nobody reads it."""


@pytest.fixture(autouse=True)
def provider(settings: Settings, db: None) -> Iterator[type[Provider]]:
    cache.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.ROOT_URLCONF = __name__
    settings.OIDC_GROUPS = {"ops": "operator", "leads": "administrator"}
    app = {
        "provider_id": "sso",
        "name": "Staff",
        "client_id": "console",
        "secret": "s",
        "settings": {"server_url": f"http://127.0.0.1:{server.server_port}"},
    }
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": [app]}}
    Provider.claims = {"sub": "42", "preferred_username": "ada", "groups": ["ops", "choir"]}
    Provider.asked.clear()
    yield Provider
    server.shutdown()
    server.server_close()


def log_in(client: Client) -> Any:
    """There, and back with what the provider gave."""
    away = client.post("/oidc/sso/login/")
    asked = parse_qs(urlsplit(away.headers["Location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    return client.get("/oidc/sso/login/callback/", {"code": "c", "state": asked["state"][0]})


def groups_of(name: str) -> set[str]:
    return set(User.objects.get(username=name).groups.values_list("name", flat=True))


def test_the_button_is_there(client: Client) -> None:
    assert "Go on with Staff" in client.get("/login/").content.decode()


def test_who_has_a_mapped_group_is_let_in_with_that_role(client: Client) -> None:
    assert log_in(client).headers["Location"] == "/"
    user = User.objects.get()
    assert (user.username, groups_of("ada"), user.has_usable_password(), user.is_superuser) == (
        "ada",
        {"operator"},
        False,
        False,
    )
    assert client.get("/sync/staged/").status_code == 200
    assert "code_verifier" in Provider.asked[0]
    signed_in = AuditEntry.objects.get(action="person.signed_in")
    assert (signed_in.actor, signed_in.elevation) == ("ada", "socialaccount")


def test_roles_follow_the_groups_at_each_log_in(client: Client, provider: type[Provider]) -> None:
    log_in(client)
    provider.claims = {**provider.claims, "groups": ["leads"]}
    assert log_in(Client()).status_code == 302
    assert (User.objects.count(), groups_of("ada")) == (1, {"administrator"})
    changed = AuditEntry.objects.filter(action="person.roles_changed").latest("pk")
    assert (changed.before, changed.after) == ({"groups": ["operator"]}, {"groups": ["administrator"]})


@pytest.mark.parametrize("groups", [[], ["choir"], None])
def test_without_a_mapped_group_nobody_gets_in(provider: type[Provider], groups: list[str] | None) -> None:
    client = Client()
    provider.claims = {**provider.claims, "groups": groups}
    assert "No role here" in log_in(client).content.decode()
    assert not User.objects.exists()


def test_who_lost_the_group_loses_the_role_and_stays_out(client: Client, provider: type[Provider]) -> None:
    log_in(client)
    provider.claims = {**provider.claims, "groups": []}
    again = Client()
    assert log_in(again).status_code == 403
    assert groups_of("ada") == set()
    assert client.get("/sync/staged/").status_code == 403  # the older session, too


def test_a_person_of_that_name_who_was_added_by_hand_is_somebody_else(client: Client) -> None:
    User.objects.create_user("ada", password="a long pass phrase")
    log_in(client)
    assert User.objects.count() == 2
    assert groups_of("ada") == set()


def test_an_answer_that_nobody_asked_for_is_refused(client: Client) -> None:
    answer = client.get("/oidc/sso/login/callback/", {"code": "c", "state": "made-up"})
    assert "Single sign-on failed" in answer.content.decode()
    assert not User.objects.exists()
