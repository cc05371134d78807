"""Signing in, and what a person changes about it, on the audit log."""

from __future__ import annotations

from typing import Any

from allauth.account.signals import password_changed, user_logged_in
from allauth.mfa.signals import authenticator_added, authenticator_removed, authenticator_reset
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.http import HttpRequest

from opsconsole import audit
from opsconsole.signin.elevation import elevation_of


def _record(request: HttpRequest, user: Any, action: str, **details: Any) -> None:
    actor = audit.Actor(
        user.get_username(), audit.Door.PAGE, user.pk, audit.address_of(request), elevation=elevation_of(request)
    )
    audit.record(actor, action, f"user:{user.pk}", **details)


@receiver(user_logged_in)
def signed_in(request: HttpRequest, user: Any, **kwargs: Any) -> None:
    _record(request, user, "person.signed_in")


@receiver(password_changed)
def changed_password(request: HttpRequest, user: Any, **kwargs: Any) -> None:
    _record(request, user, "person.password_changed")


@receiver(authenticator_added)
def added_factor(request: HttpRequest, user: Any, authenticator: Any, **kwargs: Any) -> None:
    _record(request, user, "person.factor_added", factor=authenticator.type)


@receiver(authenticator_removed)
def removed_factor(request: HttpRequest, user: Any, authenticator: Any, **kwargs: Any) -> None:
    _record(request, user, "person.factor_removed", factor=authenticator.type)


@receiver(authenticator_reset)
def made_codes(request: HttpRequest, user: Any, authenticator: Any, **kwargs: Any) -> None:
    _record(request, user, "person.factor_renewed", factor=authenticator.type)


@receiver(post_save, sender=LogEntry)
def administered(instance: LogEntry, created: bool, **kwargs: Any) -> None:
    """People and groups are changed in Django's administration, in a transaction with its own log."""
    if not created or instance.content_type is None or instance.content_type.model not in ("user", "group"):
        return
    actor = audit.Actor(instance.user.get_username(), audit.Door.PAGE, instance.user_id)
    act = {ADDITION: "added", CHANGE: "changed", DELETION: "removed"}[instance.action_flag]
    subject = f"{instance.content_type.model}:{instance.object_id}"
    what = "person" if instance.content_type.model == "user" else "group"
    audit.record(actor, f"{what}.{act}", subject, name=instance.object_repr, fields=instance.get_change_message())
