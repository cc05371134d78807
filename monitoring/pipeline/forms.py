"""What people type on these pages."""

from __future__ import annotations

from typing import Any

from django import forms

from monitoring.pipeline.limits import LIMITS, Limit, value_of
from opsconsole import estate, words
from opsconsole.estate import units
from opsconsole.estate.model import Pipeline
from sync.forms import ReasonForm


class LimitField(forms.CharField):
    """A value as the estate file has it: a number, or a duration such as `30s`, `5m`, `1h`. Empty: the estate's."""

    def __init__(self, limit: Limit, default: float) -> None:
        self.limit = limit
        written = written_value(limit, default)
        super().__init__(
            label=limit.label,
            required=False,
            max_length=20,
            widget=forms.TextInput(attrs={"class": "mono", "autocomplete": "off"}),
            help_text=f"{limit.help} The estate says {written}.".strip(),
        )

    def clean(self, value: Any) -> float | None:
        text = super().clean(value).strip()
        if not text:
            return None
        limit = self.limit
        try:
            number = units.seconds(text) if limit.unit == "duration" else float(int(text.replace(",", "")))
        except ValueError:
            allowed = units.DURATION_FORMS if limit.unit == "duration" else "a whole number"
            raise forms.ValidationError(f"{text!r} cannot be used; allowed is {allowed}.") from None
        if not limit.minimum <= number <= limit.maximum:
            low, high = written_value(limit, limit.minimum), written_value(limit, limit.maximum)
            raise forms.ValidationError(f"{text!r} is out of bounds; allowed are {low} to {high}.")
        return number


class LimitsForm(forms.Form):
    """One field for each limit, named as it is with `__` for the dot, and a reason."""

    reason = ReasonForm.base_fields["reason"]
    ticket = ReasonForm.base_fields["ticket"]

    def __init__(self, *args: Any, now: Pipeline, **kwargs: Any) -> None:
        defaults = estate.current().pipeline
        initial = {field_name(limit): typed_value(limit, value_of(now, limit.name)) for limit in LIMITS}
        super().__init__(*args, **kwargs | {"initial": initial})
        own = {field_name(limit): LimitField(limit, value_of(defaults, limit.name)) for limit in LIMITS}
        self.fields = own | {name: self.fields[name] for name in ("reason", "ticket")}

    def values(self) -> dict[str, float | None]:
        return {limit.name: self.cleaned_data[field_name(limit)] for limit in LIMITS}


def field_name(limit: Limit) -> str:
    return limit.name.replace(".", "__")


def written_value(limit: Limit, value: float) -> str:
    return words.duration(value) if limit.unit == "duration" else f"{value:,.0f}"


def typed_value(limit: Limit, value: float) -> str:
    """As it can be typed: `2m`, `90s`, `1000`."""
    if limit.unit != "duration":
        return f"{value:.0f}"
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if value >= length and value % length == 0:
            return f"{value / length:.0f}{unit}"
    return f"{value:g}s"
