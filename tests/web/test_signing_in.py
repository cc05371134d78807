"""Signing in: closed, limited, with second factors; sessions that can be ended; the first administrator."""

from __future__ import annotations

import io
import time

import pytest
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from allauth.usersessions.models import UserSession
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client
from django.urls import NoReverseMatch, reverse

from opsconsole.access import Role
from opsconsole.models import AuditEntry, User
from tests.web.test_routes import person

pytestmark = pytest.mark.django_db
PASSWORD = "a long pass phrase"


@pytest.fixture(autouse=True)
def no_attempts_counted(db: None) -> None:
    cache.clear()


def log_in(client: Client, name: str = "vera", password: str = PASSWORD) -> int:
    return client.post("/login/", {"login": name, "password": password}).status_code


@pytest.fixture
def vera() -> User:
    return person("vera", Role.VIEWER)


def test_nobody_signs_up(client: Client) -> None:
    for name in ("account_signup", "account_reset_password", "account_email", "socialaccount_signup"):
        with pytest.raises(NoReverseMatch):
            reverse(name)
    for address in ("/signup/", "/accounts/signup/", "/account/email/", "/password/reset/"):
        assert client.get(address).status_code in (302, 404)
        assert client.post(address, {"username": "eve", "password1": PASSWORD}).status_code in (302, 404)
    assert not User.objects.filter(username="eve").exists()


def test_five_wrong_passwords_lock_the_name_out_for_a_while_even_with_the_right_one(vera: User, client: Client) -> None:
    assert {log_in(client, password="wrong") for _ in range(5)} == {200}
    assert log_in(client) == 200
    assert "_auth_user_id" not in client.session
    cache.clear()
    assert log_in(client) == 302


def test_a_name_that_is_not_there_is_told_as_a_wrong_password_is(vera: User, client: Client) -> None:
    answers = [client.post("/login/", {"login": name, "password": "x"}) for name in ("vera", "nobody")]
    said = [answer.context["form"].non_field_errors() for answer in answers]
    assert said[0] == said[1]
    assert said[0]


def test_a_second_factor_is_asked_for_and_needed(vera: User, client: Client) -> None:
    secret = generate_totp_secret()
    TOTP.activate(vera, secret)
    assert client.post("/login/", {"login": "vera", "password": PASSWORD}).headers["Location"] == "/login/second/"
    assert client.get("/").headers["Location"].startswith("/login/")
    assert client.post("/login/second/", {"code": "000000"}).status_code == 200
    code = format_hotp_value(hotp_value(secret, int(time.time()) // 30))
    assert client.post("/login/second/", {"code": code}).headers["Location"] == "/"
    assert client.get("/").status_code == 302
    entry = AuditEntry.objects.get(action="person.signed_in")
    assert (entry.actor, entry.elevation, entry.address) == ("vera", "totp", "127.0.0.1")


def test_sessions_are_listed_and_ended(vera: User) -> None:
    here, there = Client(HTTP_USER_AGENT="Here"), Client(HTTP_USER_AGENT="<b>There</b>")
    assert (log_in(here), log_in(there)) == (302, 302)
    text = here.get("/account/sessions/").content.decode()
    assert "&lt;b&gt;There" in text
    row = UserSession.objects.get(session_key=there.session.session_key)
    assert here.post(f"/account/sessions/{row.pk}/end/").status_code == 302
    assert there.get("/account/").headers["Location"].startswith("/login/")
    assert here.get("/account/").status_code == 200


def test_nobody_ends_the_session_of_another(vera: User) -> None:
    client, other = Client(), Client()
    log_in(client)
    person("olaf", Role.ADMINISTRATOR)
    log_in(other, "olaf")
    row = UserSession.objects.get(session_key=client.session.session_key)
    assert other.post(f"/account/sessions/{row.pk}/end/").status_code == 404
    assert client.get("/account/").status_code == 200


def test_who_is_made_inactive_is_out_at_once(vera: User, client: Client) -> None:
    log_in(client)
    User.objects.filter(pk=vera.pk).update(is_active=False)
    assert client.get("/account/").headers["Location"].startswith("/login/")


def test_a_passkey_is_asked_for_with_a_challenge(client: Client) -> None:
    asked = client.get("/login/passkey/", headers={"X-Requested-With": "XMLHttpRequest", "Accept": "application/json"})
    assert len(asked.json()["request_options"]["publicKey"]["challenge"]) > 20
    assert client.post("/login/passkey/", {"credential": "{}"}).status_code == 302
    assert "_auth_user_id" not in client.session


class TestFirstAdministrator:
    @pytest.fixture(autouse=True)
    def nobody_yet(self) -> None:
        """Tests that commit leave the people they made."""
        User.objects.all().delete()

    def make(self, monkeypatch: pytest.MonkeyPatch, name: str, password: str) -> int:
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{password}\n"))
        try:
            call_command("first_administrator", name, "--password-stdin", stdout=io.StringIO(), stderr=io.StringIO())
        except SystemExit as stopped:
            return int(stopped.code or 0)
        return 0

    def test_one_is_made_and_no_second(self, monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
        assert self.make(monkeypatch, "ada", "short") == 2
        assert self.make(monkeypatch, "ada", PASSWORD) == 0
        assert self.make(monkeypatch, "eve", PASSWORD) == 2
        assert [(user.username, user.is_staff) for user in User.objects.all()] == [("ada", True)]
        assert log_in(client, "ada") == 302
        assert client.get("/admin/opsconsole/user/").status_code == 200
        assert AuditEntry.objects.get(action="person.first_administrator").door == "command"
