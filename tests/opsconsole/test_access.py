"""Roles hold exactly what is declared, and only who holds it gets in."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import RequestFactory

from opsconsole import access, scope
from opsconsole.access import ROLE_ORDER, Role, answered_within, declared_permissions, grant_roles, held_by, requires
from opsconsole.downloads import DownloadInstead
from opsconsole.models import USE_CONSOLE, User


def names_of(group: Group) -> set[str]:
    return {f"{app}.{code}" for app, code in group.permissions.values_list("content_type__app_label", "codename")}


@pytest.mark.django_db
class TestRoles:
    @pytest.mark.parametrize("role", ROLE_ORDER)
    def test_hold_what_is_declared(self, role: Role) -> None:
        assert names_of(Group.objects.get(name=role.value)) == set(held_by(role))

    def test_every_declared_permission_exists(self) -> None:
        known = {f"{app}.{code}" for app, code in Permission.objects.values_list("content_type__app_label", "codename")}
        assert {declared.name for declared in declared_permissions()} <= known

    def test_granting_again_changes_nothing_and_leaves_custom_groups_alone(self) -> None:
        own = Group.objects.create(name="night shift")
        own.permissions.add(Permission.objects.get(codename="use_console"))
        operator = Group.objects.get(name=Role.OPERATOR)
        operator.permissions.clear()
        grant_roles(apps, "default")
        assert names_of(operator) == set(held_by(Role.OPERATOR))
        assert names_of(own) == {"opsconsole.use_console"}


def test_a_higher_role_holds_what_the_lower_holds() -> None:
    viewer, operator, administrator = (set(held_by(role)) for role in ROLE_ORDER)
    assert viewer < operator <= administrator
    assert administrator == {declared.name for declared in declared_permissions()}


def test_a_viewer_changes_nothing() -> None:
    acts = ("run", "stage", "cancel", "publish", "delete", "change", "add", "skip")
    assert not [name for name in held_by(Role.VIEWER) if name.split(".")[1].startswith(acts) and "queries" not in name]


def test_declaring_returns_what_routes_ask_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "_declared", {})
    made = access.permission("app.do_it", Role.OPERATOR)
    assert declared_permissions() == (made,)
    assert (held_by(Role.VIEWER), held_by(Role.OPERATOR)) == ((), ("app.do_it",))


@pytest.fixture
def request_of(db: None, rf: RequestFactory) -> Callable[..., HttpRequest]:
    def make(*roles: Role) -> HttpRequest:
        user = User.objects.create_user("somebody")
        user.groups.set(Group.objects.filter(name__in=roles))
        request = rf.get("/")
        request.user = user
        return request

    return make


@requires(USE_CONSOLE)
def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("in")


class TestRequires:
    def test_lets_in_who_holds_it(self, request_of: Callable[..., HttpRequest]) -> None:
        assert page(request_of(Role.VIEWER)).status_code == 200

    def test_refuses_who_does_not(self, request_of: Callable[..., HttpRequest]) -> None:
        with pytest.raises(PermissionDenied, match=r"This needs the permission opsconsole\.use_console"):
            page(request_of())

    def test_says_on_the_view_what_it_needs(self) -> None:
        assert page.permission == USE_CONSOLE  # type: ignore[attr-defined]


def test_what_an_answer_streams_is_asked_within_the_scope_that_it_was_made_in() -> None:
    """A file's rows are read when the request has been left."""
    held = scope.Scope(frozenset({"a"}))

    def parts() -> Iterator[bytes]:
        for _ in range(2):
            yield str(scope.current() is held).encode()

    answer = answered_within(held, lambda: StreamingHttpResponse(parts()))
    assert isinstance(answer, StreamingHttpResponse)
    assert list(answer.streaming_content) == [b"True", b"True"]  # type: ignore[arg-type]
    with pytest.raises(DownloadInstead) as raised:
        answered_within(held, lambda: _raise(DownloadInstead(StreamingHttpResponse(parts()))))
    assert list(raised.value.response.streaming_content) == [b"True", b"True"]  # type: ignore[arg-type]
    assert scope.current() is scope.UNLIMITED


def _raise(error: Exception) -> HttpResponse:
    raise error
