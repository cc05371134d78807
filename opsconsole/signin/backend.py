"""What people hold by their groups, with which of these groups are limited."""

from __future__ import annotations

from typing import Any

from allauth.account.auth_backends import AuthenticationBackend

from opsconsole.scoping import grants_of


class ScopedBackend(AuthenticationBackend):  # type: ignore[misc]  # the library has no types
    """Signing in as `django-allauth` has it. The one query for what groups grant also says which of them are limited,
    so that nobody without limits pays for them."""

    def get_group_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        if obj is not None or not user_obj.is_active or user_obj.is_anonymous or user_obj.is_superuser:
            return set(super().get_group_permissions(user_obj, obj))
        return set(grants_of(user_obj))
