"""Django's administration: people and their roles, and the audit log to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, Permission
from django.db.models import Q
from django.http import HttpRequest

from opsconsole import audit, group_scopes
from opsconsole.access import Role, declared_permissions, permission
from opsconsole.group_scopes import LimitedGroupForm
from opsconsole.models import AuditEntry, User

if TYPE_CHECKING:
    PersonBase = UserAdmin[User]
    EntryBase = admin.ModelAdmin[AuditEntry]
    GroupBase = GroupAdmin
else:  # generic in the type stubs only
    PersonBase, EntryBase, GroupBase = UserAdmin, admin.ModelAdmin, GroupAdmin

# Registered by the library for whoever has every right: they would show secrets, and change what is not audited.
for library_model in (Authenticator, EmailAddress, SocialAccount, SocialApp, SocialToken, UserSession):
    if admin.site.is_registered(library_model):
        admin.site.unregister(library_model)

MANAGE_GROUPS = tuple(permission(f"auth.{verb}_group", Role.ADMINISTRATOR) for verb in ("view", "add", "change"))
MANAGE_USERS = tuple(permission(f"opsconsole.{verb}_user", Role.ADMINISTRATOR) for verb in ("view", "add", "change"))


@admin.register(User)
class PersonAdmin(PersonBase):
    """People are made inactive, not deleted: the audit log names them. Only a superuser makes superusers."""

    list_display = ("username", "email", "is_active", "is_staff", "last_login")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return fields if request.user.is_superuser else (*fields, "is_superuser", "user_permissions")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is not None and obj.is_superuser and not request.user.is_superuser:
            return False
        return super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


admin.site.unregister(Group)


@admin.register(Group)
class OwnGroupAdmin(GroupBase):
    """An installation's own groups, of the console's permissions, limited to some organizations and record sources or
    not. What the three roles hold is declared in the code."""

    form = LimitedGroupForm

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        wanted = form.cleaned_data
        group_scopes.limit(form.instance, wanted["organizations"], wanted["record_sources"], audit.actor_of(request))

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest | None = None, **kwargs: Any) -> Any:
        if db_field.name == "permissions":
            names = Q()
            for declared in declared_permissions():
                app, _, code = declared.name.partition(".")
                names |= Q(content_type__app_label=app, codename=code)
            kwargs["queryset"] = Permission.objects.filter(names).select_related("content_type")
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is not None and obj.name in Role.values:
            return False
        return super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(AuditEntry)
class AuditEntryAdmin(EntryBase):
    list_display = ("at", "actor", "door", "action", "subject", "reason")
    list_filter = ("door",)
    search_fields = ("=subject", "=action", "=actor")
    ordering = ("-id",)
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
