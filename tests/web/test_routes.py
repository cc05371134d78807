"""Closed by default: a login for every page, a named permission for every route."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.http import HttpResponseBase
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, resolve, reverse

from opsconsole import navigation
from opsconsole.access import Permission, Role
from opsconsole.models import User

EXEMPT_ROUTES: set[str] = set()


def routes(resolver: URLResolver | None = None, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for pattern in (resolver or get_resolver()).url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern, route)
        elif isinstance(pattern, URLPattern):
            yield route, pattern.callback


def guarded_routes() -> list[tuple[str, Any]]:
    return [(route, view) for route, view in routes() if route not in EXEMPT_ROUTES and not route.startswith("admin/")]


# Every page that takes a POST and does not ask for elevation: what it changes publishes, cancels, disables and deletes
# nothing. A new one is added to this list or declares that it asks.
WITHOUT_ELEVATION = {
    # One's own way in: these ask by themselves, for looking as well; ending one's own session needs none.
    *("account/", "account/app/", "account/app/remove/", "account/codes/", "account/codes/new/", "account/passkeys/"),
    *("account/passkeys/<int:pk>/remove/", "account/passkeys/add/", "account/password/"),
    *("account/sessions/<int:number>/end/", "account/preferences/", "account/filters/save/"),
    "account/filters/<int:number>/remove/",
    # Alerts are handled, nothing is done about their subjects.
    *("alerts/<int:number>/acknowledge/", "alerts/<int:number>/note/", "alerts/<int:number>/unacknowledge/"),
    *("alerts/mutes/<int:number>/lift/", "alerts/mutes/add/", "alerts/outbox/<int:number>/again/"),
    # Queues and workers: work waits, none is lost.
    *("pipeline/queues/<slug:queue>/pause/", "pipeline/queues/<slug:queue>/restart/"),
    *("pipeline/queues/<slug:queue>/resume/", "pipeline/workers/<str:worker>/restart/"),
    # Looking for organizations, staging, skipping.
    *("records/<slug:name>/stuck/stage/", "sync/affected/run/", "sync/affected/runs/<int:number>/again/"),
    *("sync/affected/runs/<int:number>/cancel/", "sync/affected/runs/<int:number>/stage/", "sync/affected/save/"),
    *("sync/affected/saved/<int:number>/delete/", "sync/affected/saved/<int:number>/run/"),
    *("sync/ids/", "sync/ids/list/", "sync/staged/add/", "sync/staged/clear/", "sync/staged/remove/"),
    *("sync/jobs/<int:number>/skip/", "sync/jobs/skip/", "sync/skipped/add/", "sync/skipped/import/"),
    *("sync/skipped/import/apply/", "sync/skipped/off/"),
    # They make a plan, or show what would be done.
    *("sync/batches/<int:number>/clone/", "sync/batches/<int:number>/missing/", "sync/batches/new/"),
    *("sync/batches/<int:number>/report-again/", "sync/by-hand/tasks/", "sync/by-hand/windows/"),
    # Customers' tasks are kept, not disabled; a warning is a mail that was due.
    *("tracked-tasks/<int:number>/exempt/", "tracked-tasks/<int:number>/exempt/end/"),
    *("tracked-tasks/<int:number>/keep/", "tracked-tasks/<int:number>/keep/end/", "tracked-tasks/<int:number>/warn/"),
}


def methods_of(view: Any) -> set[str] | None:
    """What `require_http_methods` lets through; None where a view takes anything."""
    while view is not None:
        code = getattr(view, "__code__", None)
        if code is not None and "request_method_list" in code.co_freevars:
            return set(view.__closure__[code.co_freevars.index("request_method_list")].cell_contents)
        view = getattr(view, "__wrapped__", None)
    return None


def permissions_of(view: Any) -> list[Permission]:
    """What a view needs: a page one permission, an address of the API one for each method."""
    named = getattr(view, "permissions", {}).values() or [getattr(view, "permission", None)]
    return [one for one in named if isinstance(one, Permission)]


def person(name: str, role: Role | None, **flags: bool) -> User:
    user = User.objects.create_user(name, "", "a long pass phrase", **flags)
    if role:
        user.groups.add(Group.objects.get(name=role.value))
    return user


def page(user: User | None, address: str) -> HttpResponseBase:
    client = Client()
    if user:
        client.force_login(user)
    return client.get(address)


def test_every_route_names_its_permission() -> None:
    bare = [route for route, view in guarded_routes() if not permissions_of(view) and not getattr(view, "public", "")]
    assert bare == []
    assert {"", "styleguide/", "sync/jobs/"} <= {route for route, _ in guarded_routes()}
    # The administration's own login form is hidden behind ours.
    assert isinstance(getattr(resolve("/admin/login/").func, "permission", None), Permission)


def test_every_page_that_takes_a_post_asks_for_elevation_or_is_listed_as_harmless() -> None:
    pages = [(route, view) for route, view in guarded_routes() if hasattr(view, "permission")]
    posts = {route: view for route, view in pages if "POST" in (methods_of(view) or {"POST"})}
    assert {route for route, view in posts.items() if not view.elevated} == WITHOUT_ELEVATION
    assert posts["sync/jobs/<int:number>/cancel/"].elevated is True
    assert callable(posts["sync/batches/plans/<int:number>/"].elevated)


def test_every_place_of_the_sidebar_exists_and_has_a_letter_of_its_own() -> None:
    places = [place for section in (*navigation.SECTIONS, navigation.STAFF) for place in section.places]
    assert [place.route for place in places if navigation.address_of(place) is None] == []
    assert len({place.letter for place in places}) == len(places)


@pytest.mark.django_db
def test_every_page_sends_strangers_to_the_login() -> None:
    for route, view in guarded_routes():
        if "<" in route or hasattr(view, "public") or hasattr(view, "permissions"):  # programs are told: tests/api
            continue
        response = Client().get(f"/{route}")
        assert (response.status_code, response.headers.get("Location", "")[:7]) == (302, "/login/"), route


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("role", "staff", "address", "status"),
    [
        (None, False, "/", 403),
        (Role.VIEWER, False, "/", 302),
        (Role.ADMINISTRATOR, False, "/styleguide/", 403),
        (Role.VIEWER, True, "/styleguide/", 200),
        (Role.VIEWER, False, "/admin/login/", 403),
        (Role.VIEWER, True, "/admin/login/", 302),
        (Role.VIEWER, True, "/admin/opsconsole/auditentry/", 200),
        (Role.VIEWER, True, "/admin/opsconsole/user/", 403),
        (Role.ADMINISTRATOR, True, "/admin/opsconsole/user/", 200),
        (Role.ADMINISTRATOR, True, "/admin/opsconsole/auditentry/add/", 403),
    ],
)
def test_roles(role: Role | None, staff: bool, address: str, status: int) -> None:
    assert page(person("ada", role, is_staff=staff), address).status_code == status


@pytest.mark.django_db
def test_only_a_superuser_changes_a_superuser() -> None:
    root = person("root", None, is_superuser=True, is_staff=True)
    ada = person("ada", Role.ADMINISTRATOR, is_staff=True)
    client = Client()
    client.force_login(ada)
    address = reverse("admin:opsconsole_user_change", args=[root.pk])
    assert client.post(address, {"username": "root", "is_active": ""}).status_code == 403
    assert client.post(reverse("admin:auth_user_password_change", args=[root.pk]), {}).status_code == 403


@pytest.mark.django_db
def test_log_in_and_out() -> None:
    person("vera", Role.VIEWER)
    client = Client()
    wrong = client.post("/login/", {"login": "vera", "password": "wrong"})
    assert b"notice tone-problem" in wrong.content
    right = client.post("/login/?next=/styleguide/", {"login": "vera", "password": "a long pass phrase"})
    assert right.headers["Location"] == "/styleguide/"
    assert client.get("/logout/").status_code == 405
    assert client.post("/logout/").headers["Location"] == "/login/"
    assert client.get("/").headers["Location"].startswith("/login/")


@pytest.mark.django_db
def test_login_goes_to_no_foreign_address() -> None:
    person("vera", Role.VIEWER)
    sent = {"login": "vera", "password": "a long pass phrase", "next": "https://elsewhere.example/"}
    assert Client().post("/login/", sent).headers["Location"] == "/"
