"""Fields that several forms of sync have."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import QueryDict

from sync.forms import LONGEST_REASON

MONO = {"class": "mono", "autocomplete": "off", "spellcheck": "false"}


def ids_field(label: str, help_text: str, rows: int = 6, **kwargs: Any) -> forms.CharField:
    widget = forms.Textarea(attrs={"rows": rows, "spellcheck": "false", "autocomplete": "off"})
    kwargs.setdefault("error_messages", {"required": "Give at least one id."})
    return forms.CharField(label=label, help_text=help_text, strip=False, widget=widget, **kwargs)


def organization_field(**kwargs: Any) -> forms.CharField:
    return forms.CharField(
        label="Organization",
        max_length=500,
        widget=forms.TextInput(attrs=MONO),
        help_text="Its id, with or without the prefix, or the link to its page.",
        **kwargs,
    )


def reason_field(*, required: bool, help_text: str = "Kept on the audit log.") -> forms.CharField:
    return forms.CharField(
        max_length=LONGEST_REASON,
        required=required,
        help_text=help_text,
        error_messages={"required": "Say why, in a few words."},
    )


def time_field(label: str, name: str, **kwargs: Any) -> forms.CharField:
    """A time, shown in the reader's own zone below the field; `name` is the field's in the markup."""
    attrs = {"placeholder": "yyyy-mm-dd hh:mm:ss", "data-utc-local": f"{name}-local"} | MONO
    kwargs.setdefault("help_text", "UTC, unless it says another zone.")
    kwargs.setdefault("error_messages", {"required": "Give a time: yyyy-mm-dd hh:mm:ss."})
    return forms.CharField(label=label, max_length=40, widget=forms.TextInput(attrs=attrs), **kwargs)


def whole_number(label: str, help_text: str = "", **kwargs: Any) -> forms.IntegerField:
    widget = forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"})
    return forms.IntegerField(label=label, help_text=help_text, widget=widget, **kwargs)


def show_as_typed(form: forms.Form, name: str, text: str) -> None:
    """Have a bound form show `text` in a field, as if it had been typed there: what a file brought, to be put right."""
    assert isinstance(form.data, QueryDict), "a form bound to a request"
    data = form.data.copy()
    data[name] = text
    form.data = data
