"""What people type on the sync pages. Forms check shapes; whether it can be done is the operations' to say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from django import forms

from opsconsole.errors import ConsoleError, UsageError
from opsconsole.forms import ticket_field
from sync.models import BatchState, Mode, SkipReason

LARGEST_NUMBER = 2**63 - 1
LONGEST_REASON = 500
ANY = [("", "Any")]
ACTIVE = "active"
DEAD = "dead"


@contextmanager
def refused_into(form: forms.Form, field: str | None = None) -> Iterator[None]:
    """Turn what an operation refuses into an error of `form`: bad requests at `field`, outages above the form."""
    try:
        yield
    except UsageError as error:
        form.add_error(field, str(error))
    except ConsoleError as error:
        form.add_error(None, str(error))


class BatchFilter(forms.Form):
    """Which batches; a value names the look-up that it goes into."""

    LOOKUPS: ClassVar = {"name": "name__icontains", "tag": "tags__contains"}

    state = forms.ChoiceField(choices=[*ANY, *BatchState.choices], required=False)
    mode = forms.ChoiceField(choices=[*ANY, *((mode.value, mode.name.capitalize()) for mode in Mode)], required=False)
    name = forms.CharField(required=False, max_length=120, label="Name has")
    tag = forms.CharField(required=False, max_length=40, strip=True)

    def wanted(self) -> dict[str, Any]:
        """The look-ups for `filter`, once the form is valid."""
        values = {self.LOOKUPS.get(name, name): value for name, value in self.cleaned_data.items() if value}
        return values | ({"tags__contains": [values["tags__contains"]]} if "tags__contains" in values else {})


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
    ticket = ticket_field()


class StepForm(ReasonForm):
    """A step of the ladder; `attempt` is the one that whoever fills it in has seen."""

    attempt = forms.IntegerField(required=False, min_value=0, max_value=LARGEST_NUMBER, widget=forms.HiddenInput)


class OptionalReasonForm(forms.Form):
    reason = forms.CharField(required=False, max_length=LONGEST_REASON, help_text="Kept on the audit log.")
    ticket = ticket_field()


class SkipForm(forms.Form):
    """Why an organization is skipped: one of the list's reasons, and a sentence."""

    why = forms.ChoiceField(choices=SkipReason.choices, initial=SkipReason.BY_HAND, label="Kind of reason")
    reason = forms.CharField(
        max_length=LONGEST_REASON,
        help_text="Kept on the skip list and on the audit log: what would a colleague ask tomorrow?",
        error_messages={"required": "Say why, in a few words."},
    )
    ticket = ticket_field()
