"""No GET changes anything, and no POST is taken from another site: for every address, found by the configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db import connection
from django.test import Client
from psycopg import sql

from opsconsole.api.routes import declared
from opsconsole.models import User
from tests.browser.pages import EXAMPLES
from tests.hardened.doors import client_of, text_of
from tests.hardened.place import PERSON, Place
from tests.web.test_routes import routes

pytest_plugins = ["tests.fixtures_sync", "tests.fixtures_records", "tests.fixtures_abandonment"]

# What a GET may write, and why.
MAY_CHANGE = {
    "opsconsole.AuditEntry": "a download of customers' data is written down",
    "sessions.Session": "a session moves its own end",
    "usersessions.UserSession": "a session's last use is shown to its person",
    "schedules.Ping": "a ping is a GET where its client can do no more: curl, wget",
    "schedules.Monitor": "the same",
}
PINGS = "ping/"
COLUMNS_THAT_MAY_CHANGE = {"opsconsole.User": {"last_login"}, "opsconsole.ApiToken": {"last_used_at"}}
VALUES = {
    "number": "1",
    "name": "x",
    "slug": "x",
    "uuid": "7f9c24e8-3b12-4fef-91d0-9e0c5a1c2b6d",
    "int": "1",
    "str": "x",
    "path": "x",
}
PARAMETER = re.compile(r"<(?:(\w+):)?(\w+)>")


def filled(route: str) -> str:
    """The address of a route, with a value for each parameter."""
    plain = re.sub(r"\(\?P<[^>]+>[^)]*\)", "x", route).replace("^", "").replace("$", "").replace("\\Z", "")
    return "/" + PARAMETER.sub(lambda match: VALUES[match[1] or "str"], plain)


def page_routes() -> list[tuple[str, Any]]:
    return [(route, view) for route, view in routes() if not route.startswith("api/v1/")]


def fingerprints() -> dict[str, tuple[int, str]]:
    """Of each table of the console: how many rows, and one digest over all that may not change."""
    found = {}
    with connection.cursor() as cursor:
        for model in (one for one in apps.get_models() if one._meta.managed):
            left_out = COLUMNS_THAT_MAY_CHANGE.get(model._meta.label, set())
            columns = [field.column or "" for field in model._meta.local_concrete_fields if field.name not in left_out]
            row = sql.SQL("ROW({})::text").format(sql.SQL(", ").join(map(sql.Identifier, columns)))
            cursor.execute(
                sql.SQL(
                    "SELECT count(*), coalesce(md5(string_agg({row}, '|' ORDER BY {row})), '') FROM {table}"
                ).format(row=row, table=sql.Identifier(model._meta.db_table))
            )
            found[model._meta.label] = cursor.fetchone()
    return found


def gets(place: Place) -> Iterator[str]:
    """Every address that answers a GET: each page with rows that are there, and each route of the configuration."""
    yield from (example.address(place.scene) for example in EXAMPLES)
    yield from (filled(route) for route, _ in page_routes() if not route.startswith(PINGS))
    for route in (route for routes_of in declared() for route in routes_of.routes if route.method == "GET"):
        yield f"/api/v1/{re.sub(r'{[a-z_]+}', '1', route.path)}"


def test_no_get_changes_anything(hostile: Place) -> None:
    User.objects.filter(username=f"{PERSON}administrator").update(is_superuser=True)
    client = client_of("administrator", raise_request_exception=False)
    before, asked = fingerprints(), list(dict.fromkeys(gets(hostile)))
    answered = {address: client.get(address) for address in asked}
    for answer in answered.values():
        text_of(answer)  # a stream acts while it is read
    after = fingerprints()
    assert {label for label in after if after[label] != before[label]} <= set(MAY_CHANGE)
    assert [address for address, answer in answered.items() if answer.status_code == 500] == []
    assert sum(answer.status_code == 200 for answer in answered.values()) > 150


def test_no_post_without_a_token_is_taken(hostile: Place) -> None:
    """Each page's address with a POST as another site would send it: with the person's session, without the token."""
    client = client_of("administrator", enforce_csrf_checks=True, raise_request_exception=False)
    before, taken = fingerprints(), []
    for route, view in page_routes():
        if route.startswith(PINGS):  # no session is looked at: whoever knows the address may ping
            assert getattr(view, "csrf_exempt", False)
            continue
        status = client.post(filled(route), {"reason": "from elsewhere"}).status_code
        if status not in (403, 404, 405):
            taken.append((route, status))
        assert not getattr(view, "csrf_exempt", False), route
    after = fingerprints()
    assert taken == []
    assert {label for label in after if after[label] != before[label]} <= {"sessions.Session"}
    assert client.post("/logout/").status_code == 403


def test_the_api_takes_no_post_of_a_session_without_a_token(hostile: Place) -> None:
    client = client_of("administrator", enforce_csrf_checks=True)
    for route in (route for routes_of in declared() for route in routes_of.routes if route.method == "POST"):
        address = f"/api/v1/{re.sub(r'{[a-z_]+}', '1', route.path)}"
        answer = client.post(address, {"reason": "from elsewhere"}, content_type="application/json")
        assert answer.status_code in (401, 403), (address, text_of(answer)[:300])


def test_a_stranger_has_no_session_that_a_get_makes(hostile: Place) -> None:
    client = Client()
    client.get("/login/")
    assert "sessionid" not in client.cookies
