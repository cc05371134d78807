"""Scopes as Django keeps them: which one a person's permission has, and models that narrow themselves by it.

A group may be limited (`models.GroupScope`). A permission that comes from limited groups only is limited to what these
groups allow together; one that also comes from a group without limits, from the person's own permissions or from being
a superuser is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar

from django.apps import apps
from django.contrib.auth.models import Group
from django.db import models

from opsconsole.scope import NOTHING, UNLIMITED, OutsideScopeError, Scope, current
from opsconsole.words import some_of

if TYPE_CHECKING:
    from opsconsole.access import Permission

M = TypeVar("M", bound=models.Model)
Narrowed: TypeAlias = Callable[[models.QuerySet[M], Scope], models.QuerySet[M]]
KEPT = "_console_grants"
UNLIMITED_GROUP = None


def grants_of(user: Any) -> Mapping[str, set[int | None]]:
    """By permission, the limits of the groups that give it; None among them: a group without. One query, once."""
    found: dict[str, set[int | None]] | None = getattr(user, KEPT, None)
    if found is None:
        found = {}
        rows = Group.permissions.through.objects.filter(group__user=user.pk).values_list(
            "permission__content_type__app_label", "permission__codename", "group__scope__pk"
        )
        for app, code, limits in rows:
            found.setdefault(f"{app}.{code}", set()).add(limits)
        setattr(user, KEPT, found)
    return found


def scope_of(user: Any, needed: Permission) -> Scope:
    """What `needed` allows this person. One query where it is limited, once; none else: who asks has been let in by
    `has_perm`."""
    if user.is_superuser or needed.name in user.get_user_permissions():
        return UNLIMITED
    limits = grants_of(user).get(needed.name, set())
    if UNLIMITED_GROUP in limits:
        return UNLIMITED
    scopes = _limits(user)
    allowed = reduce(or_, (scopes.get(one, NOTHING) for one in limits if one is not None), NOTHING)
    return replace(allowed, person=user.pk)


def _limits(user: Any) -> Mapping[int, Scope]:
    """The scopes of the person's groups."""
    found: dict[int, Scope] | None = getattr(user, f"{KEPT}_scopes", None)
    if found is None:
        found = {
            one.pk: one.scope for one in apps.get_model("opsconsole", "GroupScope").objects.filter(group__user=user.pk)
        }
        setattr(user, f"{KEPT}_scopes", found)
    return found


def holds_here(user: Any, needed: Permission) -> bool:
    """Whether the person also has `needed`, for all that is seen here: a view's second permission, next to its own."""
    return bool(user.has_perm(needed.name)) and scope_of(user, needed).covers(current())


def holds_everywhere(user: Any, needed: Permission) -> bool:
    """Whether the person has it, and without limits."""
    return bool(user.has_perm(needed.name)) and not scope_of(user, needed).limited


def is_limited_anywhere(user: Any) -> bool:
    """Whether any permission of the person is limited."""
    if user.is_superuser or not user.is_active:
        return False
    own = user.get_user_permissions()
    return any(UNLIMITED_GROUP not in limits for name, limits in grants_of(user).items() if name not in own)


class ScopedManager(models.Manager[M]):
    """The rows that the scope of what is going on allows: of those outside nobody hears.

    They are told by their `organization_column`, unless the model says it by a static method `narrowed(rows, scope)` of
    its own. Rows reached by a foreign key are read as they are, and so is what the database itself cascades to.
    """

    organization_column: ClassVar[str] = "organization_id"

    def get_queryset(self) -> models.QuerySet[M]:
        rows = super().get_queryset()
        scope = current()
        if not scope.limited:
            return rows
        narrowed: Narrowed[M] | None = getattr(self.model, "narrowed", None)
        return narrowed(rows, scope) if narrowed else scope.narrow(rows, self.organization_column)


def require_all_seen(rows: models.QuerySet[M], numbers: Iterable[int], what: str) -> None:
    """For whoever is limited: each of these rows is there and inside. One query then, none else. Raises
    OutsideScopeError, which does not tell what lies outside from what there is not."""
    if not current().limited:
        return
    asked = set(numbers)
    missing = sorted(asked - set(rows.filter(pk__in=asked).values_list("pk", flat=True)))
    if missing:
        raise OutsideScopeError(
            f"{len(missing):,} of {len(asked):,} {what} do not exist, or lie outside what your groups are limited to: "
            f"{some_of([str(one) for one in missing])}. Nothing was done."
        )
