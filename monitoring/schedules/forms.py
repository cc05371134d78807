"""What people type on the pages of scheduled jobs. Whether it can be done is the operations' to say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django import forms
from django.db.models import QuerySet

from monitoring.schedules.actions import operations
from monitoring.schedules.models import Action, Overlap, Run, RunState, ScheduledJob, Trigger
from monitoring.schedules.models.scheduled_job import JOB_NAME, NAME_LENGTH
from opsconsole.estate import units
from opsconsole.estate.model import CatchUp
from opsconsole.estate.schedule_reader import METHODS, MOST_RETRIES
from opsconsole.forms import ticket_field

ANY = [("", "Any")]
LONGEST_REASON = 500
MONO = {"class": "mono", "autocomplete": "off", "spellcheck": "false"}
CATCH_UPS = (
    (CatchUp.LATEST.value, "Run the newest for all"),
    (CatchUp.ALL.value, "Run each, a hundred at most"),
    (CatchUp.SKIP.value, "Run none"),
)
DAY = timedelta(days=1)


class RunNowForm(forms.Form):
    """`key` makes a form that is sent twice one run."""

    following = forms.BooleanField(required=False, label="And what follows, in order")
    reason = forms.CharField(max_length=LONGEST_REASON, required=False, help_text="Kept on the run and the audit log.")
    ticket = ticket_field()
    key = forms.CharField(max_length=40, widget=forms.HiddenInput)


class RunFilter(forms.Form):
    state = forms.ChoiceField(choices=[*ANY, *RunState.choices], required=False)
    trigger = forms.ChoiceField(choices=[*ANY, *Trigger.choices], required=False)

    def narrow(self, runs: QuerySet[Run]) -> QuerySet[Run]:
        return runs.filter(**{name: value for name, value in self.cleaned_data.items() if value})


def written(length: timedelta) -> str:
    """As it can be typed: `2h`, `90s`."""
    seconds = length.total_seconds()
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:g}s"


def duration_of(text: str) -> timedelta:
    """Raises ValidationError."""
    try:
        return timedelta(seconds=units.seconds(text))
    except (ValueError, OverflowError):
        raise forms.ValidationError(f"{text!r} is no duration; 30s, 5m, 1h and 7d are.") from None


class DurationField(forms.CharField):
    """A duration as the estate file has it. Its value is a timedelta, None where it is empty and may be."""

    def __init__(self, *, least: timedelta, most: timedelta, **kwargs: Any) -> None:
        self.least, self.most = least, most
        super().__init__(max_length=20, widget=forms.TextInput(attrs=MONO), **kwargs)

    def clean(self, value: Any) -> timedelta | None:
        text = super().clean(value).strip()
        if not text:
            return None
        length = duration_of(text)
        if not self.least <= length <= self.most:
            raise forms.ValidationError(f"From {written(self.least)} to {written(self.most)} is allowed.")
        return length


class WordsField(forms.CharField):
    """Names with commas or blanks between them. Its value is a list."""

    def clean(self, value: Any) -> list[str]:
        return list(dict.fromkeys(super().clean(value).replace(",", " ").split()))


class RetriesField(forms.CharField):
    """Durations with commas or blanks between them. Its value is a list of seconds."""

    def clean(self, value: Any) -> list[int]:
        texts = super().clean(value).replace(",", " ").split()
        if len(texts) > MOST_RETRIES:
            raise forms.ValidationError(f"{MOST_RETRIES} at most.")
        lengths = [duration_of(text) for text in texts]
        if any(length > 7 * DAY for length in lengths):
            raise forms.ValidationError("7d at most, each.")
        return [round(length.total_seconds()) for length in lengths]


class TableField(forms.CharField):
    """A JSON object. Its value is a dictionary."""

    widget = forms.Textarea(attrs=MONO | {"rows": 3})

    def clean(self, value: Any) -> dict[str, Any]:
        text = super().clean(value)
        try:
            found = json.loads(text or "{}")
        except ValueError as error:
            raise forms.ValidationError(f"This is no JSON: {error}.") from None
        if not isinstance(found, dict):
            raise forms.ValidationError('A JSON object is needed, {"name": value}.')
        return found


class ScheduleFields(forms.Form):
    """Cron with a zone, or an interval: which of the two is for the operations to ask."""

    cron = forms.CharField(
        required=False,
        max_length=200,
        label="Cron expression",
        widget=forms.TextInput(attrs=MONO),
        help_text="minute hour day month weekday: 30 2 * * 1-5 is half past two, Monday to Friday.",
    )
    zone = forms.CharField(initial="UTC", max_length=64, label="Time zone", help_text="UTC, Europe/Paris …")


class JobForm(ScheduleFields):
    """A scheduled job. `values` are those of `operations.saving.DEFINITION`."""

    name = forms.CharField(max_length=NAME_LENGTH, validators=[JOB_NAME], widget=forms.TextInput(attrs=MONO))
    description = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 2}))
    every = DurationField(
        least=timedelta(seconds=1), most=366 * DAY, required=False, label="Or every", help_text="30s, 5m, 1h …"
    )
    action = forms.ChoiceField(choices=Action.choices, initial=Action.OPERATION, label="It does")
    operation = forms.ChoiceField(choices=[], required=False)
    parameters = TableField(required=False, help_text="Of the operation, as JSON.")
    method = forms.ChoiceField(choices=[(one, one) for one in METHODS], initial="POST", required=False)
    url = forms.CharField(required=False, max_length=2_000, label="Address", widget=forms.TextInput(attrs=MONO))
    headers_env = TableField(
        required=False,
        label="Headers",
        help_text='As JSON, each by the environment variable that holds its value: {"Authorization": "CALL_EXPORT"}. '
        "The variable's name begins with CALL_.",
    )
    body = forms.CharField(required=False, widget=forms.Textarea(attrs=MONO | {"rows": 3}))
    expected_status = forms.IntegerField(required=False, help_text="Empty: any from 200 to 299.")
    after = WordsField(required=False, label="After", help_text="Names of jobs that must have succeeded first.")
    critical = forms.BooleanField(required=False, help_text="Caught up after a downtime.")
    catch_up = forms.ChoiceField(choices=CATCH_UPS, initial=CatchUp.LATEST.value, label="After a downtime")
    recovery_window = DurationField(least=timedelta(minutes=1), most=30 * DAY, initial="2h")
    grace = DurationField(least=timedelta(seconds=1), most=30 * DAY, initial="1h")
    time_limit = DurationField(least=timedelta(seconds=1), most=7 * DAY, initial="30m")
    retry_delays = RetriesField(required=False, initial="5m 10m 20m", label="Retries", help_text="The waits between.")
    overlap = forms.ChoiceField(choices=Overlap.choices, label="While one is under way")
    owner = forms.CharField(required=False, max_length=200)
    channels = WordsField(required=False)

    field_order = ("name", "description", "cron", "zone", "every")

    def __init__(self, data: Mapping[str, Any] | None = None, *, job: ScheduledJob | None = None) -> None:
        super().__init__(data, initial=None if job is None else initial_of(job))
        chosen = self.fields["operation"]
        assert isinstance(chosen, forms.ChoiceField)
        chosen.choices = [("", "None"), *((one.name, f"{one.name}: {one.summary}") for one in operations())]
        if job is not None:
            del self.fields["name"]

    def clean(self) -> dict[str, Any]:
        wanted = super().clean() or self.cleaned_data
        if bool(wanted.get("cron")) == bool(wanted.get("every")) and not {"cron", "every"} & set(self.errors):
            self.add_error("cron", "Give a cron expression or an interval, one of the two.")
        if wanted.get("action") == Action.OPERATION and not wanted.get("operation") and "operation" not in self.errors:
            self.add_error("operation", "Choose one.")
        return wanted

    def values(self) -> dict[str, Any]:
        given = self.cleaned_data
        same = ("description", "owner", "channels", "cron", "zone", "critical", "catch_up", "recovery_window")
        as_call = given["action"] == Action.HTTP
        return {name: given[name] for name in (*same, "grace", "time_limit", "retry_delays", "overlap", "after")} | {
            "action": given["action"],
            "interval": given["every"],
            "operation": "" if as_call else given["operation"],
            "parameters": _call_of(given) if as_call else given["parameters"],
        }


def _call_of(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: given[name] for name in ("method", "url", "headers_env", "body", "expected_status")}


def initial_of(job: ScheduledJob) -> dict[str, Any]:
    """The job as it can be typed."""
    call = job.parameters if job.action == Action.HTTP else {}
    same = ("description", "owner", "cron", "zone", "action", "operation", "critical", "catch_up", "overlap")
    return {name: getattr(job, name) for name in same} | {
        "every": "" if job.interval is None else written(job.interval),
        "parameters": "" if call else json.dumps(job.parameters),
        "method": call.get("method", "POST"),
        "url": call.get("url", ""),
        "headers_env": json.dumps(call.get("headers_env", {})) if call else "",
        "body": call.get("body", ""),
        "expected_status": call.get("expected_status"),
        "retry_delays": " ".join(written(timedelta(seconds=delay)) for delay in job.retry_delays),
        "recovery_window": written(job.recovery_window),
        "grace": written(job.grace),
        "time_limit": written(job.time_limit),
        "after": ", ".join(job.after),
        "channels": ", ".join(job.channels),
    }
