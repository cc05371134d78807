"""Every page by every role and method: let in or refused exactly as its view declares. Programs: `tests/api`.

What lies outside of a limited person's scope: `tests/scopes`.
"""

from __future__ import annotations

from typing import Any

import pytest
import redis
from django.test import Client

from opsconsole.access import ROLE_ORDER, Role
from tests.company import EstateWriter
from tests.hardened.test_reading import page_routes
from tests.scopes.addresses import PARAMETER
from tests.web.test_routes import methods_of, person

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.django_db

METHODS = ("GET", "POST", "PUT", "DELETE")
PAGES = [(route, view) for route, view in page_routes() if hasattr(view, "permission")]


def address(route: str) -> str:
    """With a number and a name that no row has."""
    return "/" + PARAMETER.sub(lambda match: "999999" if "int:" in match[0] or "pk" in match[0] else "x", route)


def expected(view: Any, role: Role | None, method: str) -> set[int] | None:
    """The statuses that are right; None for any that is no refusal. Pages of the library that signs people in say
    themselves which methods they take."""
    allowed = methods_of(view)
    if allowed is not None and method not in allowed:
        return {405}
    holds = role is not None and ROLE_ORDER.index(role) >= ROLE_ORDER.index(view.permission.role)
    return None if holds else {403}


@pytest.mark.parametrize("role", [None, *ROLE_ORDER])
def test_each_page_lets_in_whom_it_declares(role: Role | None, use_estate: EstateWriter, queue: redis.Redis) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(person(f"a-{role}", role, is_staff=True))
    wrong = []
    for route, view in PAGES:
        for method in METHODS:
            status = client.generic(method, address(route)).status_code
            right = expected(view, role, method)
            refusals = {401, 403, 500} if methods_of(view) is None else {401, 403, 405, 500}
            if (status not in right) if right else (status in refusals):
                wrong.append((method, route, status))
    assert wrong == []
    assert len(PAGES) > 120
