"""Every route, by every role and by strangers: allowed or refused exactly as declared; and what no route may lack."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.urls import get_resolver, resolve

from opsconsole.access import ROLE_ORDER, Role
from opsconsole.api import site
from opsconsole.api.models import ApiToken
from opsconsole.api.routes import Route, declared
from opsconsole.models import AuditEntry
from tests.api.callers import ROOT, Program, problem_of, program
from tests.company import EstateWriter

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("use_estate", "queue")]

get_resolver().url_patterns  # noqa: B018  (the routes are declared once the addresses are known)
ROUTES = [route for routes in declared() for route in routes.routes]


def filled_in(route: Route) -> str:
    """The address with a row that is not there: who may come in gets a 404, a 4xx for the body, or an answer."""
    return re.sub(r"\{[a-z]+\}", "999999", route.path)


def call(caller: Program, route: Route) -> Any:
    return caller.get(filled_in(route)) if route.method == "GET" else caller.post(filled_in(route))


def allowed(route: Route, role: Role) -> bool:
    return ROLE_ORDER.index(role) >= ROLE_ORDER.index(route.permission.role)


@pytest.mark.parametrize("role", ROLE_ORDER)
def test_roles_reach_what_is_declared(role: Role, use_estate: EstateWriter) -> None:
    caller = program(role)
    wrong = []
    for route in ROUTES:
        status = call(caller, route).status_code
        if (status == 403) is allowed(route, role) or status in (401, 429, 500):
            wrong.append((route.method, route.path, status))
    assert wrong == []


def test_strangers_and_tokens_without_the_permission_reach_nothing() -> None:
    nobody, empty = Client(), program(Role.ADMINISTRATOR)
    ApiToken.objects.update(permissions=["opsconsole.nothing"])
    for route in ROUTES:
        address = ROOT + filled_in(route)
        stranger = nobody.get(address) if route.method == "GET" else nobody.post(address)
        assert problem_of(stranger)["status"] in (401, 429), address
        assert problem_of(call(empty, route))["status"] == 403, address
    assert not AuditEntry.objects.filter(door="api").exists()


def test_every_other_method_is_refused() -> None:
    admin = program(Role.ADMINISTRATOR)
    methods = {route.path: set(of) for route in ROUTES for of in [site.routes_by_path()[route.path]]}
    for path, known in methods.items():
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - known:
            refused = admin.generic(method, re.sub(r"\{[a-z]+\}", "1", path))
            assert problem_of(refused)["status"] == 405, (method, path)
            assert set(refused["Allow"].split(", ")) == known


def test_a_function_without_a_permission_has_no_address() -> None:
    """Ninja alone would serve it: what is not declared by `Routes` is not among the addresses."""
    made = site.api()
    known = {str(pattern.pattern) for pattern in site.addresses()}
    assert all(str(pattern.pattern) in known for pattern in made.urls[0] if str(pattern.pattern))
    assert resolve(f"{ROOT}anything/else").func.public  # type: ignore[attr-defined]


def test_the_document_has_every_route_with_its_permission_and_examples() -> None:
    document = program(Role.VIEWER).get("openapi.json").json()
    assert document["openapi"].startswith("3.1")
    operations = {
        (method.upper(), path.removeprefix(ROOT)): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert set(operations) == {(route.method, route.path) for route in ROUTES}
    for route in ROUTES:
        operation = operations[route.method, route.path]
        assert operation["x-permission"] == route.permission.name
        assert {"401", "403", "429"} <= set(operation["responses"])
        body = operation.get("requestBody", {}).get("content", {}).get("application/json")
        assert body is None or body["example"], route
    names = [operation["operationId"] for operation in operations.values()]
    assert len(names) == len(set(names))
    assert json.dumps(document)


def test_every_permission_is_one_that_exists() -> None:
    known = {
        f"{one.content_type.app_label}.{one.codename}" for one in Permission.objects.select_related("content_type")
    }
    assert {route.permission.name for route in ROUTES} <= known


def test_reading_changes_nothing() -> None:
    viewer = program(Role.ADMINISTRATOR)
    viewer.get("jobs")  # its first use is written down, once a minute
    before = fingerprints()
    for route in ROUTES:
        if route.method == "GET":
            call(viewer, route)
    assert fingerprints() == before


def fingerprints() -> dict[str, str]:
    """Each table of the console, as one digest of its rows."""
    found = {}
    with connection.cursor() as cursor:
        for model in (one for one in apps.get_models() if one._meta.managed):
            table = connection.ops.quote_name(model._meta.db_table)
            cursor.execute(f"SELECT md5(string_agg(row::text, '|' ORDER BY row::text)) FROM {table} AS row")  # noqa: S608
            found[model._meta.label] = cursor.fetchone()[0]
    return found
