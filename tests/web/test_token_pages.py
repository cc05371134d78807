"""API tokens on their pages: made, shown once, seen by whom they concern, revoked."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from opsconsole.access import Role
from opsconsole.api.models import ApiToken
from opsconsole.models import AuditEntry
from tests.api.callers import program, token_of
from tests.web.sync_rows import HOSTILE, client_of
from tests.web.test_routes import person

pytestmark = pytest.mark.django_db

FORM = {"name": "nightly report", "permissions": ["sync.view_job"], "days": "30"}
SECRET = re.compile(r"ops_[\w-]{43}")


def text_of(response: object) -> str:
    return response.content.decode()  # type: ignore[attr-defined, no-any-return]


def test_a_token_is_made_shown_once_and_works() -> None:
    client = client_of(Role.VIEWER)
    made = client.post("/tokens/new/", FORM)
    secret = SECRET.search(text_of(made))
    assert secret is not None
    assert "no-store" in made["Cache-Control"]
    assert SECRET.search(text_of(client.get("/tokens/"))) is None
    token = ApiToken.objects.get()
    assert (token.acts_as, token.permissions, token.created_by) == ("a-viewer", ["sync.view_job"], "a-viewer")
    headers = {"authorization": f"Bearer {secret[0]}"}
    assert Client().get("/api/v1/jobs", headers=headers).status_code == 200
    assert Client().get("/api/v1/queues", headers=headers).status_code == 403


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"name": ""}, "Give it a name."),
        ({"permissions": []}, "choose at least one"),
        ({"permissions": ["sync.run_checks"]}, "not one of the available choices"),
        ({"days": "367"}, "less than or equal to 366"),
        ({"days": "soon"}, "whole number"),
    ],
)
def test_what_is_wrong_is_said_and_the_rest_kept(wrong: dict[str, object], says: str) -> None:
    refused = client_of(Role.VIEWER).post("/tokens/new/", FORM | {"name": "kept"} | wrong)
    assert refused.status_code == 400
    assert says in text_of(refused)
    assert ('value="kept"' in text_of(refused)) is ("name" not in wrong)
    assert not ApiToken.objects.exists()


def test_only_administrators_make_tokens_of_services_and_see_all() -> None:
    as_service = FORM | {"service": "deploys"}
    client_of(Role.VIEWER).post("/tokens/new/", as_service)
    assert ApiToken.objects.get().acts_as == "a-viewer"
    admin = client_of(Role.ADMINISTRATOR)
    admin.post("/tokens/new/", as_service | {"name": HOSTILE})
    listed = text_of(admin.get("/tokens/"))
    assert "service:deploys" in listed
    assert "a-viewer" in listed
    assert HOSTILE not in listed
    assert "service:deploys" not in text_of(client_of(Role.VIEWER).get("/tokens/"))


def test_a_token_is_revoked_by_its_person_or_an_administrator_once() -> None:
    vera = program(Role.VIEWER, "vera")
    other = token_of(person("olga", Role.OPERATOR))
    address = f"/tokens/{vera.token.pk}/revoke/"
    assert client_of(Role.VIEWER).post(address, {"reason": "x"}).status_code == 404, "it is somebody else's"
    client = Client()
    assert vera.token.user is not None
    client.force_login(vera.token.user)
    assert client.post(address, {"reason": ""}).status_code == 400
    assert client.post(address, {"reason": "the laptop is lost"}).headers["Location"] == "/tokens/"
    assert vera.get("jobs").status_code == 401
    assert "revoked before" in text_of(client.post(address, {"reason": "again"}))
    client_of(Role.ADMINISTRATOR).post(f"/tokens/{other.token.pk}/revoke/", {"reason": "she has left"})
    assert other.get("jobs").status_code == 401
    reasons = AuditEntry.objects.filter(action="token.revoked").order_by("pk").values_list("reason", flat=True)
    assert list(reasons) == ["the laptop is lost", "she has left"]


def test_the_page_of_the_api_has_every_group() -> None:
    page = text_of(client_of(Role.VIEWER).get("/api/v1/docs/"))
    for words in ("POST /api/v1/jobs/{number}/cancel", "sync.cancel_job", "Idempotency-Key", "Audit log", "Monitors"):
        assert words in page, words
    assert "<script>" not in page
