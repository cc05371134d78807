"""Who may do what: one named permission per operation, granted to three roles, asked for by every route.

Each app declares its permissions on its models (`Meta.permissions`) and binds each to the lowest role that has it with
`permission(...)`. Roles are Django groups, so an installation can make its own groups from the same permissions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeAlias

from django.apps.registry import Apps
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.db.models import TextChoices
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse

from opsconsole import scope

P = ParamSpec("P")


class Role(TextChoices):
    VIEWER = "viewer", "Viewer: sees everything, changes nothing"
    OPERATOR = "operator", "Operator: stages, checks, publishes, cancels"
    ADMINISTRATOR = "administrator", "Administrator: users, limits, clean-up"


ROLE_ORDER = (Role.VIEWER, Role.OPERATOR, Role.ADMINISTRATOR)


@dataclass(frozen=True)
class Permission:
    """`name` is Django's `app.codename`; `role` the lowest role that holds it.

    `elevated`: what it allows publishes, cancels, disables, deletes or changes a policy, so that whoever does it on a
    page has to have confirmed lately who they are (`signin/elevation.py`)."""

    name: str
    role: Role
    elevated: bool = False


_declared: dict[str, Permission] = {}


def permission(name: str, role: Role, *, elevated: bool = False) -> Permission:
    """Declare that `role`, and every role above it, holds the permission `name` (`app.codename`)."""
    declared = Permission(name, role, elevated)
    _declared[name] = declared
    return declared


def declared_permissions() -> tuple[Permission, ...]:
    return tuple(_declared.values())


def held_by(role: Role) -> tuple[str, ...]:
    """Names of all permissions of `role`, its own and those of the roles below it."""
    rank = ROLE_ORDER.index(role)
    return tuple(p.name for p in _declared.values() if ROLE_ORDER.index(p.role) <= rank)


View: TypeAlias = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


Elevated: TypeAlias = bool | Callable[..., bool]


class Scoping(Enum):
    """What a route is to somebody whose permission is limited to some organizations or record sources."""

    CLOSED = "closed: it concerns all of them"
    NARROWED = "what lies outside does not exist there"
    APART = "it concerns none of them"


class ClosedToLimitedError(PermissionDenied):
    """The permission is there, and limited; the route concerns everything."""

    def __init__(self, needed: Permission) -> None:
        super().__init__(
            f"Your groups limit {needed.name} to some organizations or record sources, and this concerns all of them."
        )


def requires(
    needed: Permission, *, elevated: Elevated | None = None, scoping: Scoping = Scoping.CLOSED
) -> Callable[[View[P]], View[P]]:
    """Let a view run only for a user who holds `needed`; otherwise 403. Tests read `view.permission`.

    A POST asks for elevation where `needed` does; `elevated` says otherwise for this one view, for some requests only
    where it is a function of what the view gets. Tests read `view.elevated`.

    The view, and what it streams, runs within the scope that the user's groups give `needed`; where that is limited, a
    view that does not say that it holds scopes is refused. Tests read `view.scoping`.
    """
    asks = needed.elevated if elevated is None else elevated

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not request.user.has_perm(needed.name):
                raise PermissionDenied(f"This needs the permission {needed.name}.")
            # Here and not above: permissions are declared before Django has loaded the apps that this needs.
            from opsconsole.scoping import scope_of

            held = scope_of(request.user, needed)
            require_open(needed, scoping, held)
            return answered_within(held, lambda: act(request, *args, **kwargs))

        def act(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if request.method == "POST" and (asks(request, *args, **kwargs) if callable(asks) else asks):
                from opsconsole.signin.elevation import confirmation

                answer = confirmation(request)
                if answer is not None:
                    return answer
            return view(request, *args, **kwargs)

        guarded.permission = needed  # type: ignore[attr-defined]
        guarded.elevated = asks  # type: ignore[attr-defined]
        guarded.scoping = scoping  # type: ignore[attr-defined]
        return guarded

    return decorate


def require_open(needed: Permission, scoping: Scoping, held: scope.Scope) -> None:
    """Raises ClosedToLimitedError where `held`, the scope of `needed`, is limited and the route holds no scopes."""
    if _is_closed(scoping, held):
        raise ClosedToLimitedError(needed)


def _is_closed(scoping: Scoping, held: scope.Scope) -> bool:
    return scoping is Scoping.CLOSED and held.limited


def open_scope(user: Any, needed: Permission, scoping: Scoping) -> scope.Scope | None:
    """The scope within which `user` may ask for what takes `needed`; None where it is closed to them."""
    from opsconsole.scoping import scope_of

    if not user.has_perm(needed.name):
        return None
    held = scope_of(user, needed)
    return None if _is_closed(scoping, held) else held


def may_open(user: Any, view: Any) -> bool:
    """Whether the page would let the user in: what a list of links asks. Of a view without a permission it is not known
    here, and so it says yes."""
    needed = getattr(view, "permission", None)
    if needed is None:
        return True
    return open_scope(user, needed, view.scoping) is not None


def answered_within(held: scope.Scope, act: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    """The answer of `act`, made within the scope `held`, and so is what it streams later; a list's file, too, which
    the view raises in place of its page."""
    # Here and not above: it writes on the audit log, a model.
    from opsconsole.downloads import DownloadInstead

    try:
        with scope.within(held):
            response = act()
    except DownloadInstead as instead:
        _hold(instead.response, held)
        raise
    _hold(response, held)
    return response


def _hold(response: HttpResponseBase, held: scope.Scope) -> None:
    if isinstance(response, StreamingHttpResponse) and held.limited:
        response.streaming_content = scope.held(held, response.streaming_content)  # type: ignore[arg-type]


def public(why: str) -> Callable[[View[P]], View[P]]:
    """Let a view run for anybody, without a login; `why` says what makes that safe. Tests read `view.public`."""

    def decorate(view: View[P]) -> View[P]:
        open_view = login_not_required(view)
        open_view.public = why  # type: ignore[attr-defined]
        return open_view

    return decorate


def grant_roles(apps: Apps, using: str, **kwargs: Any) -> None:
    """Make the role groups hold exactly what is declared (after each migrate; adds, never takes from custom groups)."""
    try:
        group_model = apps.get_model("auth", "Group")
        permission_model = apps.get_model("auth", "Permission")
    except LookupError:
        return  # `migrate` of one app to an early point: the groups do not exist yet
    by_name = {
        f"{p.content_type.app_label}.{p.codename}": p
        for p in permission_model.objects.using(using).select_related("content_type")
    }
    for role in ROLE_ORDER:
        group, _ = group_model.objects.using(using).get_or_create(name=role.value)
        group.permissions.set([by_name[name] for name in held_by(role) if name in by_name])
