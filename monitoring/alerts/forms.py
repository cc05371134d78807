"""What people type on the pages of alerts."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django import forms

from monitoring.alerts.models import ChannelKind, NotificationState
from monitoring.alerts.models.alert import SCOPE_LENGTH
from monitoring.alerts.models.channel import NAME_LENGTH
from monitoring.alerts.operations.acting import LONGEST
from monitoring.alerts.types import KINDS, Severity
from monitoring.schedules.forms import DurationField
from opsconsole.forms import ticket_field

LONGEST_TEXT = 1_000
ANY = [("", "Any")]
STATES = [("open", "Open"), ("acknowledged", "Acknowledged"), ("resolved", "Resolved"), ("all", "All")]
MINUTE = timedelta(minutes=1)
PLAIN = {"autocomplete": "off", "spellcheck": "false"}


class AlertFilter(forms.Form):
    state = forms.ChoiceField(choices=STATES, required=False)
    kind = forms.ChoiceField(choices=[*ANY, *KINDS], required=False, label="Type")
    severity = forms.ChoiceField(choices=[*ANY, *Severity.choices], required=False)
    scope = forms.CharField(required=False, max_length=SCOPE_LENGTH)


class OutboxFilter(forms.Form):
    state = forms.ChoiceField(choices=[*ANY, *NotificationState.choices], required=False)


class ForSomeTime(forms.Form):
    """A time span from now on."""

    span = DurationField(least=MINUTE, most=LONGEST, initial="8h", label="For", help_text="Such as 30m, 8h or 3d.")

    def until(self, now: datetime) -> datetime:
        span: timedelta = self.cleaned_data["span"]
        return now + span


class AcknowledgeForm(ForSomeTime):
    note = forms.CharField(required=False, max_length=LONGEST_TEXT, widget=forms.Textarea(attrs={"rows": 2}))


class NoteForm(forms.Form):
    note = forms.CharField(max_length=LONGEST_TEXT, widget=forms.Textarea(attrs={"rows": 2}))


class MuteForm(ForSomeTime):
    kind = forms.ChoiceField(choices=KINDS, label="Type")
    scope = forms.CharField(
        required=False, max_length=SCOPE_LENGTH, help_text="Empty: any. With * at its end: whatever begins so."
    )
    reason = forms.CharField(max_length=LONGEST_TEXT, widget=forms.Textarea(attrs={"rows": 2}))
    ticket = ticket_field()

    field_order = ("kind", "scope", "span", "reason", "ticket")


class ChannelForm(forms.Form):
    name = forms.CharField(max_length=NAME_LENGTH)
    kind = forms.ChoiceField(choices=ChannelKind.choices)
    address = forms.CharField(
        max_length=2_000,
        widget=forms.TextInput(attrs=PLAIN),
        help_text="An e-mail address; a webhook's https:// address; or a service's, such as slack://token/token/token. "
        "env:ALERT_… names an environment variable that holds it. It is not shown again.",
    )

    def clean_address(self) -> str:
        return str(self.cleaned_data["address"]).strip()


class ChangeChannelForm(ChannelForm):
    """Its kind stays: messages that wait were made for it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        del self.fields["kind"]
        self.fields["address"].required = False
        self.fields["address"].help_text = "Empty: as it is."


class SubscriptionForm(forms.Form):
    kinds = forms.MultipleChoiceField(
        choices=KINDS,
        required=False,
        label="Types",
        help_text="None chosen: all.",
        widget=forms.CheckboxSelectMultiple,
    )
    least = forms.ChoiceField(choices=Severity.choices, initial=Severity.INFO, label="Least severity")
    scope = forms.CharField(
        required=False, max_length=SCOPE_LENGTH, help_text="Empty: any. With * at its end: whatever begins so."
    )
    after = DurationField(
        least=MINUTE,
        most=timedelta(days=7),
        required=False,
        label="Only when unacknowledged for",
        help_text="Makes it an escalation, such as 30m. Empty: told at once.",
    )
    quiet_from = forms.TimeField(
        required=False, label="Quiet from", help_text="Such as 22:00. What is critical comes nevertheless."
    )
    quiet_to = forms.TimeField(required=False, label="Quiet to", help_text="Such as 07:00.")
    zone = forms.CharField(initial="UTC", max_length=64, label="Time zone", help_text="Such as Europe/Paris.")

    def clean_zone(self) -> str:
        name = str(self.cleaned_data["zone"])
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise forms.ValidationError(f"There is no time zone {name!r}; one is Europe/Paris.") from None
        return name

    def clean(self) -> dict[str, Any]:
        wanted = super().clean() or self.cleaned_data
        if (wanted.get("quiet_from") is None) != (wanted.get("quiet_to") is None):
            self.add_error("quiet_to", "Give both times, or none.")
        return wanted

    def values(self) -> dict[str, Any]:
        return self.cleaned_data | {"after": self.cleaned_data["after"] or timedelta(0)}
