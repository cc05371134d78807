"""What people type on the page of ids."""

from __future__ import annotations

from django import forms

from sync.form_fields import ids_field
from sync.operations.ids import Output, Subject


class IdsForm(forms.Form):
    of = forms.ChoiceField(
        label="Ids of",
        choices=[(one.value, one.value.capitalize()) for one in Subject],
        initial=Subject.ORGANIZATIONS.value,
        widget=forms.RadioSelect,
    )
    ids = ids_field(
        "Ids",
        "As you have them: bare, prefixed, quoted, separated by anything, CSV, JSON, an SQL list, links.",
        8,
        required=False,
    )
    file = forms.FileField(label="Or a file", required=False, allow_empty_file=True)
    column = forms.CharField(
        label="Column",
        required=False,
        max_length=200,
        help_text="Of a CSV, by name or number, where it cannot be seen.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    to = forms.ChoiceField(
        label="Give them back",
        choices=[
            (Output.BARE.value, "Bare, one per line"),
            (Output.PREFIXED.value, "Prefixed, commas between"),
            (Output.QUOTED.value, "Prefixed and quoted"),
            (Output.SQL.value, "SQL IN list"),
            (Output.CSV.value, "CSV"),
        ],
        initial=Output.BARE.value,
    )
