"""What people type on the skip list: entries, its filter, an import."""

from __future__ import annotations

from django import forms
from django.db.models import QuerySet

from opsconsole import estate
from opsconsole.errors import UsageError
from opsconsole.forms import ticket_field
from sync.form_fields import MONO, ids_field, reason_field
from sync.forms import ANY
from sync.models import SkippedOrganization, SkipReason
from sync.operations.ids import organization_rules, require_keys
from sync.operations.skiplist import LONGEST_NOTE


class SkipForm(forms.Form):
    ids = ids_field("Organization ids", "In any shape. All of them are put on the list, or none where one is wrong.", 4)
    reason = forms.ChoiceField(choices=SkipReason.choices, initial=SkipReason.BY_HAND.value)
    note = forms.CharField(
        required=False,
        max_length=LONGEST_NOTE,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="What would a colleague ask tomorrow?",
    )
    ticket = ticket_field()


class SkipFilter(forms.Form):
    state = forms.ChoiceField(
        choices=[*ANY, ("open", "On the list"), ("resolved", "Resolved")], required=False, label="State"
    )
    reason = forms.ChoiceField(choices=[*ANY, *SkipReason.choices], required=False)
    organization = forms.CharField(
        required=False,
        max_length=500,
        label="Organization id",
        widget=forms.TextInput(attrs={"data-search": True} | MONO),
    )

    def clean_organization(self) -> tuple[str, ...]:
        text: str = self.cleaned_data["organization"]
        try:
            keys = require_keys([text], organization_rules(estate.current().source)) if text.strip() else ()
        except UsageError as error:
            raise forms.ValidationError(str(error)) from error
        return tuple(map(str, keys))

    def narrow(self, entries: QuerySet[SkippedOrganization]) -> QuerySet[SkippedOrganization]:
        """Those of `entries` that a valid form asks for."""
        wanted = self.cleaned_data
        if wanted["state"]:
            entries = entries.filter(resolved_at__isnull=wanted["state"] == "open")
        if wanted["reason"]:
            entries = entries.filter(reason=wanted["reason"])
        if wanted["organization"]:
            entries = entries.filter(organization_id__in=wanted["organization"])
        return entries


class ImportForm(forms.Form):
    """A CSV, uploaded or pasted; `text` is kept in the form either way."""

    file = forms.FileField(label="CSV file", required=False, allow_empty_file=True)
    text = forms.CharField(
        label="Or paste it",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 8, "class": "mono", "spellcheck": "false", "autocomplete": "off"}),
    )


class ApplyForm(forms.Form):
    text = forms.CharField(strip=False, widget=forms.HiddenInput)
    digest = forms.CharField(max_length=64, widget=forms.HiddenInput)
    reason = reason_field(required=True)
    ticket = ticket_field()
