"""What people type on the pages of tracked tasks. Whether it can be done is the operations' to say."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.db.models import Q, QuerySet

from monitoring.abandonment.models import Policy, TaskState, TrackedTask
from monitoring.abandonment.models.policy import AIM, STAGES
from monitoring.abandonment.models.task import TEXT_LENGTH
from monitoring.abandonment.rules import DEFAULT, Aim, Aimed, Rules, Stage
from monitoring.schedules.forms import MONO, DurationField, written
from opsconsole import estate
from opsconsole.errors import UsageError
from opsconsole.forms import ticket_field
from opsconsole.times import parse_time
from sync.forms import LONGEST_REASON, ReasonForm

ANY = [("", "Any")]
DAY = timedelta(days=1)
AGES = (("1", "a day"), ("7", "7 days"), ("14", "14 days"), ("30", "30 days"), ("90", "90 days"))


class TaskFilter(forms.Form):
    """Which tasks. Those that are gone are shown when asked for."""

    state = forms.ChoiceField(choices=[*ANY, *TaskState.choices], required=False)
    source = forms.ChoiceField(required=False)
    scope = forms.CharField(required=False, max_length=TEXT_LENGTH, widget=forms.TextInput(attrs=MONO))
    kind = forms.CharField(required=False, max_length=TEXT_LENGTH, widget=forms.TextInput(attrs=MONO))
    owner = forms.CharField(required=False, max_length=320, widget=forms.TextInput(attrs=MONO))
    age = forms.ChoiceField(choices=[*ANY, *AGES], required=False, label="For at least")
    name = forms.CharField(required=False, max_length=TEXT_LENGTH, label="Name has")

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__(data)
        sources = estate.current().tracked_tasks
        field = self.fields["source"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [*ANY, *((one.name, one.label) for one in sources)]

    def narrow(self, rows: QuerySet[TrackedTask], now: datetime) -> QuerySet[TrackedTask]:
        wanted = self.cleaned_data
        same = {name: wanted[name] for name in ("source", "scope", "kind", "owner") if wanted[name]}
        rows = rows.filter(**same)
        rows = rows.filter(state=wanted["state"]) if wanted["state"] else rows.exclude(state=TaskState.GONE)
        if wanted["name"]:
            rows = rows.filter(Q(title__icontains=wanted["name"]) | Q(key=wanted["name"]))
        if wanted["age"]:
            before = now - int(wanted["age"]) * DAY
            rows = rows.filter(Q(failing_since__lte=before) | Q(state=TaskState.IDLE, quiet_since__lte=before))
        return rows


class KeepForm(ReasonForm):
    until = forms.CharField(
        max_length=40,
        label="Keep until",
        help_text="UTC: 2026-04-01 or 2026-04-01 12:00; within a year.",
        widget=forms.TextInput(attrs=MONO),
    )
    field_order = ("until", "reason", "ticket")

    def clean_until(self) -> datetime:
        try:
            return parse_time(self.cleaned_data["until"], "Keep until")[0]
        except UsageError as error:
            raise forms.ValidationError(str(error)) from error


class RemindersField(forms.CharField):
    """Durations with commas or blanks between them. Its value is a list of hours."""

    def clean(self, value: Any) -> list[int]:
        one = DurationField(least=timedelta(hours=1), most=90 * DAY)
        hours = {
            round((one.clean(text) or DAY).total_seconds() / 3_600) for text in (value or "").replace(",", " ").split()
        }
        if len(hours) > 5:  # noqa: PLR2004
            raise forms.ValidationError("5 at most.")
        return sorted(hours, reverse=True)


def length(label: str, default: timedelta, help_text: str, *, least: timedelta = DAY) -> DurationField:
    return DurationField(least=least, most=3_650 * DAY, label=label, initial=written(default), help_text=help_text)


class PolicyForm(forms.Form):
    """A policy and the reason for it, which simulating does not ask for."""

    scope = forms.CharField(
        initial="*",
        max_length=TEXT_LENGTH,
        validators=[AIM],
        widget=forms.TextInput(attrs=MONO),
        help_text="eu-1, eu-* for all that begin so, or * for any.",
    )
    kind = forms.CharField(initial="*", max_length=TEXT_LENGTH, validators=[AIM], widget=forms.TextInput(attrs=MONO))
    failing_stage = forms.TypedChoiceField(choices=STAGES, coerce=int, initial=Stage.DETECT.value, label="Failing")
    failing_after = length("Abandoned after", DEFAULT.failing_after, "Not healthy for so long.")
    idle_stage = forms.TypedChoiceField(choices=STAGES, coerce=int, initial=Stage.DETECT.value, label="Idle")
    idle_after = length("Idle after", DEFAULT.idle_after, "Healthy, and without data for so long.")
    notice = length("Disabled after", DEFAULT.notice, "So long after the warning was delivered.")
    reminders = RemindersField(required=False, initial="3d 1d", max_length=80, help_text="So long before that.")
    watch_after = length("Watched after", DEFAULT.watch_after, "Failing for so long it is marked in lists.")
    recency = length("A change holds back for", DEFAULT.recency, "A change by a person.", least=timedelta(0))
    lasting = length(
        "Health counts after", DEFAULT.lasting, "A shorter recovery resets nothing.", least=timedelta(minutes=1)
    )
    reason = forms.CharField(max_length=LONGEST_REASON, required=False, help_text="Kept on the audit log.")
    ticket = ticket_field()
    simulated = forms.CharField(max_length=500, required=False, widget=forms.HiddenInput)

    def __init__(self, data: Any = None, *, policy: Policy | None = None, saving: bool = False) -> None:
        super().__init__(data, initial=None if policy is None else initial_of(policy))
        self.fields["reason"].required = saving

    def values(self) -> dict[str, Any]:
        beside = ("reason", "ticket", "simulated")
        return {name: value for name, value in self.cleaned_data.items() if name not in beside}

    def carry(self, proof: str) -> None:
        """Take the proof of a simulation along with what was typed."""
        self.data = {**{name: self.data.get(name) for name in self.fields}, "simulated": proof}

    def aimed(self) -> Aimed:
        given = self.cleaned_data
        lengths = ("failing_after", "idle_after", "watch_after", "notice", "recency", "lasting")
        rules = Rules(
            Stage(given["failing_stage"]),
            Stage(given["idle_stage"]),
            reminders=tuple(timedelta(hours=hours) for hours in given["reminders"]),
            **{name: given[name] for name in lengths},
        )
        return Aimed(Aim(given["scope"], given["kind"]), rules)


def initial_of(policy: Policy) -> dict[str, Any]:
    """The policy as it can be typed."""
    same = ("scope", "kind", "failing_stage", "idle_stage")
    lengths = ("failing_after", "idle_after", "watch_after", "notice", "recency", "lasting")
    return {name: getattr(policy, name) for name in same} | {
        **{name: written(getattr(policy, name)) for name in lengths},
        "reminders": " ".join(written(timedelta(hours=hours)) for hours in policy.reminders),
    }
