"""What people type to make a token."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.models import Permission

from opsconsole.api.tokens import LONGEST_LIFE_DAYS, grantable
from opsconsole.forms import ticket_field
from opsconsole.models import User

DEFAULT_DAYS = 90
LONGEST_REASON = 500


class TokenForm(forms.Form):
    """`service` is offered to those who may make tokens of services; empty: the token acts as the person."""

    name = forms.CharField(
        max_length=80,
        label="Name",
        help_text="What uses it and where, as others will read it: “nightly report on ops-3”.",
        error_messages={"required": "Give it a name."},
    )
    service = forms.CharField(
        max_length=80,
        required=False,
        label="Service",
        help_text="With a name here the token acts as that service, not as you, and outlives your account.",
    )
    permissions = forms.MultipleChoiceField(
        label="What it may do",
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "A token without a permission can do nothing; choose at least one."},
    )
    days = forms.IntegerField(
        min_value=1,
        max_value=LONGEST_LIFE_DAYS,
        initial=DEFAULT_DAYS,
        label="Days until it expires",
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )

    def __init__(self, *args: Any, maker: User, services: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["permissions"].choices = _choices(grantable(maker))  # type: ignore[attr-defined]
        if not services:
            del self.fields["service"]


def _choices(names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Each permission with its sentence. One query."""
    known = Permission.objects.select_related("content_type")
    labels = {f"{one.content_type.app_label}.{one.codename}": one.name for one in known}
    return [(name, f"{labels.get(name, name)} ({name})") for name in names]


class RevokeForm(forms.Form):
    reason = forms.CharField(
        max_length=LONGEST_REASON,
        help_text="Kept on the audit log: what would a colleague ask tomorrow?",
        error_messages={"required": "Say why, in a few words."},
    )
    ticket = ticket_field()
