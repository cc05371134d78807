"""What people ask for on the pages of the record statuses."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms

from monitoring.records.ages import Ages, parse_age, parse_ages, written
from monitoring.records.standing import Standing
from monitoring.records.stuck import StuckQuestion
from opsconsole import estate
from opsconsole.errors import UsageError
from opsconsole.forms import ticket_field
from opsconsole.times import Window, parse_time
from sync.forms import LONGEST_REASON
from sync.operations.ids import organization_rules, require_keys

AGE = {"size": "6", "autocomplete": "off", "spellcheck": "false"}
RANGES = (("6h", "6 hours"), ("1d", "1 day"), ("7d", "7 days"), ("90d", "90 days"))
PRESETS = (("0s", "1h", "Last hour"), ("15m", "1d", "15 min to a day"), ("1h", "7d", "An hour to 7 days"))


def age_field(label: str, **kwargs: Any) -> forms.CharField:
    return forms.CharField(
        label=label, max_length=12, required=False, widget=forms.TextInput(attrs=dict(AGE)), **kwargs
    )


class WindowForm(forms.Form):
    """The window in ages, what is shown of it, and how far back the charts go. Empty: the source's own."""

    older = age_field("Older than")
    younger = age_field("Younger than")
    hidden = forms.BooleanField(required=False, label="Hidden statuses, too")
    trend = forms.ChoiceField(label="Charts of", choices=RANGES, required=False)

    def __init__(self, data: Any, ages: Ages) -> None:
        given = {name: data.get(name, "") for name in ("older", "younger", "hidden", "trend")}
        given["older"] = given["older"].strip() or written(ages.older)
        given["younger"] = given["younger"].strip() or written(ages.younger)
        given["trend"] = given["trend"] or RANGES[0][0]
        super().__init__(given)

    def clean(self) -> dict[str, Any]:
        wanted: dict[str, Any] = super().clean() or self.cleaned_data
        if "older" in wanted and "younger" in wanted:
            try:
                wanted["ages"] = parse_ages(wanted["older"], wanted["younger"])
            except UsageError as error:
                self.add_error("younger" if "Younger" in str(error) else "older", str(error))
        return wanted


class StuckForm(forms.Form):
    """Which stuck records: of a status, of an organization, how far back, and made from when to when."""

    status = forms.ChoiceField(required=False)
    within = age_field("Younger than")
    organization = forms.CharField(required=False, max_length=200)
    start = forms.CharField(required=False, max_length=40, label="Made from")
    end = forms.CharField(required=False, max_length=40, label="to")

    def __init__(self, data: Any, standing: Standing) -> None:
        given = {name: data.get(name, "") for name in self.base_fields}
        given["within"] = given["within"].strip() or written(standing.source.stuck_within)
        super().__init__(given)
        self.standing = standing
        statuses = [(status, standing.guide.kind(status).label) for status in standing.thresholds]
        self.fields["status"].choices = [("", "Any"), *statuses]  # type: ignore[attr-defined]
        if not standing.source.organization:
            del self.fields["organization"]

    def clean_within(self) -> float:
        try:
            return parse_age(self.cleaned_data["within"], "Younger than")
        except UsageError as error:
            raise forms.ValidationError(str(error)) from error

    def clean_organization(self) -> str:
        text: str = self.cleaned_data["organization"].strip()
        if not text:
            return ""
        try:
            return str(require_keys([text], organization_rules(estate.current().source))[0])
        except UsageError as error:
            raise forms.ValidationError(str(error)) from error

    def clean_start(self) -> datetime | None:
        return _moment(self.cleaned_data["start"], "Made from")

    def clean_end(self) -> datetime | None:
        return _moment(self.cleaned_data["end"], "To")

    def question(self, now: datetime) -> StuckQuestion:
        """What a valid form asks for."""
        wanted = self.cleaned_data
        made = self.standing.stuck(now, within=wanted["within"]).made
        made = Window(max(wanted["start"] or made.start, made.start), min(wanted["end"] or made.end, made.end))
        statuses = (wanted["status"],) if wanted["status"] else ()
        return self.standing.stuck(now, statuses=statuses, made=made, organization=wanted.get("organization") or None)


def _moment(text: str, what: str) -> datetime | None:
    try:
        return parse_time(text, what)[0] if text.strip() else None
    except UsageError as error:
        raise forms.ValidationError(str(error)) from error


class LimitsForm(forms.Form):
    """The window and the limit of each status of the guide; an empty limit is the estate's."""

    older = age_field("Older than")
    younger = age_field("Younger than")
    reason = forms.CharField(
        max_length=LONGEST_REASON,
        help_text="Kept on the audit log: what would a colleague ask tomorrow?",
        error_messages={"required": "Say why, in a few words."},
    )
    ticket = ticket_field()

    def __init__(self, standing: Standing, data: Any = None) -> None:
        super().__init__(
            data, initial={"older": written(standing.ages.older), "younger": written(standing.ages.younger)}
        )
        self.standing = standing
        self._statuses: dict[str, str] = {}
        limits = {one.status: one.limit for one in standing.source.statuses}
        changed = standing.changed.limits if standing.changed else {}
        for number, kind in enumerate(one for one in standing.guide.kinds() if not one.rests):
            own = limits[kind.status]
            field = age_field(kind.label, help_text=f"The estate's: {written(own) if own else 'none, its usual time'}.")
            field.initial = written(changed[kind.status]) if kind.status in changed else ""
            self.fields[f"limit{number}"] = field
            self._statuses[f"limit{number}"] = kind.status

    def limit_fields(self) -> list[forms.BoundField]:
        """A field for each status that can have a limit, in the order of the guide."""
        return [self[name] for name in self._statuses]

    def clean(self) -> dict[str, Any]:
        wanted: dict[str, Any] = super().clean() or self.cleaned_data
        source = self.standing.source
        older = wanted.get("older") or written(source.older_than)
        younger = wanted.get("younger") or written(source.younger_than)
        try:
            wanted["ages"] = parse_ages(older, younger)
        except UsageError as error:
            self.add_error("younger" if "Younger" in str(error) else "older", str(error))
        wanted["limits"] = {}
        for name, status in self._statuses.items():
            self._clean_limit(name, status, wanted)
        return wanted

    def _clean_limit(self, name: str, status: str, wanted: dict[str, Any]) -> None:
        if not wanted.get(name):
            return
        try:
            seconds = parse_age(wanted[name], "The limit")
            if not seconds:
                raise UsageError("The limit is 0; nothing can be in a status for less.")
            wanted["limits"][status] = seconds
        except UsageError as error:
            self.add_error(name, str(error))
