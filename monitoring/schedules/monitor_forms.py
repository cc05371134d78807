"""What people type on the pages of monitors."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django import forms

from monitoring.schedules.forms import DAY, MONO, DurationField, ScheduleFields, WordsField, written
from monitoring.schedules.models import Monitor, PingKey
from monitoring.schedules.models.scheduled_job import JOB_NAME, NAME_LENGTH
from monitoring.schedules.pings import PingKind
from opsconsole.due import LONGEST_INTERVAL

SECOND = timedelta(seconds=1)
MOST_IN_A_ROW = 100
SAME = ("name", "key", "description", "owner", "channels", "cron", "zone", "failures_to_open", "successes_to_close")


class MonitorForm(ScheduleFields):
    name = forms.CharField(max_length=NAME_LENGTH, validators=[JOB_NAME], widget=forms.TextInput(attrs=MONO))
    key = forms.ModelChoiceField(
        PingKey.objects.order_by("name"),
        required=False,
        empty_label="None: its own address only",
        label="Ping key",
        help_text="With one it can be pinged by its name, too.",
    )
    description = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 2}))
    period = DurationField(
        least=SECOND, most=LONGEST_INTERVAL, required=False, help_text="Expected again so long after each ping."
    )
    grace = DurationField(least=SECOND, most=30 * DAY, initial="1h", help_text="Late for so long before it is down.")
    time_limit = DurationField(
        least=SECOND, most=30 * DAY, initial="30m", help_text="A run that was started and is not ended by then is down."
    )
    failures_to_open = forms.IntegerField(
        min_value=1, max_value=MOST_IN_A_ROW, initial=1, label="Failures in a row until down"
    )
    successes_to_close = forms.IntegerField(
        min_value=1, max_value=MOST_IN_A_ROW, initial=1, label="Successes until up again"
    )
    manual_resume = forms.BooleanField(required=False, help_text="While it is paused, pings do not wake it.")
    owner = forms.CharField(required=False, max_length=200)
    channels = WordsField(required=False)

    field_order = ("name", "key", "description", "period", "cron", "zone")

    def __init__(self, data: Mapping[str, Any] | None = None, *, monitor: Monitor | None = None) -> None:
        super().__init__(data, initial=None if monitor is None else initial_of(monitor))

    def clean(self) -> dict[str, Any]:
        wanted = super().clean() or self.cleaned_data
        if bool(wanted.get("cron")) == bool(wanted.get("period")) and not {"cron", "period"} & set(self.errors):
            self.add_error("period", "Give a period or a cron expression, one of the two.")
        return wanted

    def values(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in (*SAME, "period", "grace", "time_limit", "manual_resume")}


def initial_of(monitor: Monitor) -> dict[str, Any]:
    """The monitor as it can be typed."""
    return {name: getattr(monitor, name) for name in (*SAME, "manual_resume")} | {
        "period": "" if monitor.period is None else written(monitor.period),
        "grace": written(monitor.grace),
        "time_limit": written(monitor.time_limit),
        "channels": ", ".join(monitor.channels),
    }


class KeyForm(forms.Form):
    name = forms.CharField(max_length=NAME_LENGTH, help_text="A team or a system: one key for each.")


class PingFilter(forms.Form):
    kind = forms.ChoiceField(
        choices=[("", "Any"), *((one.value, one.value.title()) for one in PingKind)], required=False
    )
