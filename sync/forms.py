"""What people type on the sync pages. Forms check shapes; whether it can be done is the operations' to say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django import forms

from opsconsole import estate
from opsconsole.errors import ConsoleError, UsageError
from sync.engine.rows import DriftKind
from sync.models import BatchState, JobKind, JobState, Mode, Verification
from sync.operations.ids import organization_rules, read_ids

LARGEST_NUMBER = 2**63 - 1
LONGEST_REASON = 500
ANY = [("", "Any")]
ACTIVE = "active"


@contextmanager
def refused_into(form: forms.Form, field: str | None = None) -> Iterator[None]:
    """Turn what an operation refuses into an error of `form`: bad requests at `field`, outages above the form."""
    try:
        yield
    except UsageError as error:
        form.add_error(field, str(error))
    except ConsoleError as error:
        form.add_error(None, str(error))


class JobFilter(forms.Form):
    state = forms.ChoiceField(
        choices=[*ANY, (ACTIVE, "Active: not ended yet"), *JobState.choices], required=False, label="State"
    )
    kind = forms.ChoiceField(choices=[*ANY, *JobKind.choices], required=False)
    organization = forms.CharField(
        required=False,
        max_length=300,
        label="Organization id",
        widget=forms.TextInput(attrs={"data-search": True, "class": "mono", "autocomplete": "off"}),
    )
    batch = forms.IntegerField(
        required=False, min_value=1, max_value=LARGEST_NUMBER, widget=forms.TextInput(attrs={"inputmode": "numeric"})
    )

    def clean_organization(self) -> str:
        """The bare id, whatever shape it was typed in."""
        text: str = self.cleaned_data["organization"]
        if not text:
            return ""
        parsed = read_ids(text, organization_rules(estate.current().source))
        if parsed.malformed:
            raise forms.ValidationError(f"{parsed.malformed[0].text!r} {parsed.malformed[0].why}.")
        if len(parsed.keys) != 1:
            raise forms.ValidationError(f"One organization at a time; {len(parsed.keys)} ids were given.")
        return str(parsed.keys[0])


class BatchFilter(forms.Form):
    state = forms.ChoiceField(choices=[*ANY, *BatchState.choices], required=False)
    mode = forms.ChoiceField(choices=[*ANY, *((mode.value, mode.name.capitalize()) for mode in Mode)], required=False)


class DriftFilter(forms.Form):
    kind = forms.ChoiceField(choices=[*ANY, *((kind.value, kind.value.title()) for kind in DriftKind)], required=False)
    verification = forms.ChoiceField(choices=[*ANY, *Verification.choices], required=False)


class StageForm(forms.Form):
    ids = forms.CharField(
        label="Organization ids",
        help_text="As you have them: one per line, or separated by commas, semicolons or blanks; quoted or not; with "
        "the prefix or without. All of them are staged, or none where one is wrong.",
        strip=False,
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false", "autocomplete": "off"}),
        error_messages={"required": "Give at least one organization id."},
    )

    def lines(self) -> list[str]:
        text: str = self.cleaned_data["ids"]
        return text.splitlines()


class ReasonForm(forms.Form):
    reason = forms.CharField(
        max_length=LONGEST_REASON,
        help_text="Kept on the audit log: what would a colleague ask tomorrow?",
        error_messages={"required": "Say why, in a few words."},
    )
