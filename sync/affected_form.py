"""The query for affected organizations as its address has it. The form is the one reader of those parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from django import forms
from django.db.models import TextChoices
from django.http import QueryDict

from opsconsole import estate
from opsconsole.errors import UsageError
from opsconsole.times import Window, parse_time
from sync.form_fields import time_field, whole_number
from sync.operations.affected import AffectedQuery, pasted_keys

Parameters: TypeAlias = dict[str, list[str]]

LARGEST_MINIMUM = 1_000_000_000
LONGEST_STATUS = 100
HTML_NAMES = {"start": "from", "end": "to", "minimum": "min"}


class Preset(TextChoices):
    """A window that is where the clock is when the query runs."""

    HOUR = "1h", "Last hour"
    SIX_HOURS = "6h", "Last 6 hours"
    YESTERDAY = "yesterday", "Yesterday in UTC"

    def window(self, now: datetime) -> Window:
        now = now.astimezone(UTC).replace(microsecond=0)
        if self is Preset.YESTERDAY:
            today = now.replace(hour=0, minute=0, second=0)
            return Window(today - timedelta(days=1), today)
        return Window(now - timedelta(hours=1 if self is Preset.HOUR else 6), now)


class Exclusion(TextChoices):
    STAGED = "staged", "Staged"
    SKIPPED = "skipped", "On the skip list"


class AffectedForm(forms.Form):
    """Bound to the parameters of an address; `query(now)` and `parameters()` are there once it is valid."""

    window = forms.ChoiceField(
        choices=[("", "From … to …"), *Preset.choices], required=False, widget=forms.RadioSelect, label="Updated"
    )
    start = time_field("From, included", "from", required=False)
    end = time_field("To, not included", "to", required=False)
    status = forms.MultipleChoiceField(
        label="Status now", required=False, widget=forms.CheckboxSelectMultiple, help_text="None ticked: any status."
    )
    other_status = forms.CharField(
        label="Other statuses", required=False, max_length=500, help_text="Separated by commas."
    )
    minimum = whole_number(
        "At least so many tasks updated", "Empty: 1.", required=False, min_value=1, max_value=LARGEST_MINIMUM
    )
    exclude = forms.MultipleChoiceField(
        label="Leave out what is", choices=Exclusion.choices, required=False, widget=forms.CheckboxSelectMultiple
    )
    checked_since = time_field(
        "Leave out what was checked since", "checked", required=False, help_text="UTC. Whole checks that are done."
    )
    without = forms.CharField(
        label="Leave out these organizations",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "autocomplete": "off"}),
        help_text="Ids in any shape.",
    )

    def __init__(self, data: QueryDict | None = None) -> None:
        super().__init__(data)
        tasks = estate.current().source.tasks
        given = data.getlist("status") if data else []
        known = dict.fromkeys((*tasks.active, *tasks.completed, *(one for one in given if one)))
        self.fields["status"].choices = [(one, one) for one in known]  # type: ignore[attr-defined]

    def add_prefix(self, field_name: str) -> str:
        return HTML_NAMES.get(field_name, field_name)

    @classmethod
    def of(cls, parameters: Mapping[str, Sequence[str]]) -> AffectedForm:
        """Bound to parameters as they were kept."""
        data = QueryDict(mutable=True)
        for name, values in parameters.items():
            data.setlist(name, list(values))
        return cls(data)

    @classmethod
    def asked(cls, data: QueryDict) -> bool:
        """Whether an address says anything that the form reads."""
        return any(HTML_NAMES.get(name, name) in data for name in cls.base_fields)

    def clean_status(self) -> list[str]:
        statuses: list[str] = self.cleaned_data["status"]
        if any(len(status) > LONGEST_STATUS or not status.isprintable() for status in statuses):
            raise forms.ValidationError(f"A status has at most {LONGEST_STATUS} characters, all of them visible.")
        return statuses

    def clean_minimum(self) -> int:
        return self.cleaned_data["minimum"] or 1

    def clean_checked_since(self) -> str:
        text: str = self.cleaned_data["checked_since"].strip()
        if text:
            self._time(text, "Checked since")
        return text

    def clean_without(self) -> str:
        text: str = self.cleaned_data["without"].strip()
        try:
            pasted_keys(text.splitlines())
        except UsageError as error:
            raise forms.ValidationError(str(error)) from error
        return text

    def clean(self) -> dict[str, Any]:
        wanted = super().clean() or self.cleaned_data
        if wanted.get("window") == "":
            self._clean_bounds()
        return wanted

    def _clean_bounds(self) -> None:
        for field, label in (("start", "From"), ("end", "To")):
            text = self.cleaned_data.get(field)
            if text == "":
                self.add_error(field, f"{label} is missing; write yyyy-mm-dd hh:mm:ss, or choose a window above.")
            elif text is not None:
                try:
                    self._time(text, label)
                except forms.ValidationError as error:
                    self.add_error(field, error)
        if not self.errors and self._bounds().start >= self._bounds().end:
            self.add_error("end", "To is not after From; the window would be empty.")

    def _time(self, text: str, what: str) -> datetime:
        try:
            return parse_time(text, what)[0]
        except UsageError as error:
            raise forms.ValidationError(str(error)) from error

    def _bounds(self) -> Window:
        return Window(self._time(self.cleaned_data["start"], "From"), self._time(self.cleaned_data["end"], "To"))

    def query(self, now: datetime) -> AffectedQuery:
        """What a valid form asks for; a preset window ends where `now` is."""
        wanted = self.cleaned_data
        since = wanted["checked_since"]
        return AffectedQuery(
            Preset(wanted["window"]).window(now) if wanted["window"] else self._bounds(),
            statuses=self._statuses(),
            minimum=wanted["minimum"],
            exclude_staged=Exclusion.STAGED in wanted["exclude"],
            exclude_skipped=Exclusion.SKIPPED in wanted["exclude"],
            checked_since=self._time(since, "Checked since") if since else None,
            exclude=tuple(wanted["without"].splitlines()),
        )

    def _statuses(self) -> tuple[str, ...]:
        others = (text.strip() for text in self.cleaned_data["other_status"].split(","))
        return tuple(dict.fromkeys([*self.cleaned_data["status"], *filter(None, others)]))

    def parameters(self) -> Parameters:
        """A valid form's parameters, always written the same way; what is not asked for is left out."""
        wanted = self.cleaned_data
        window = {"window": [wanted["window"]]}
        bounds = {"from": [wanted["start"]], "to": [wanted["end"]]}
        rest = {
            "status": list(self._statuses()),
            "min": [str(wanted["minimum"])] if wanted["minimum"] > 1 else [],
            "exclude": list(wanted["exclude"]),
            "checked_since": [wanted["checked_since"]] if wanted["checked_since"] else [],
            "without": [wanted["without"]] if wanted["without"] else [],
        }
        return {name: values for name, values in ((window if wanted["window"] else bounds) | rest).items() if values}
