"""What people type to sync by hand, on the skip list, and on the page of ids."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import QuerySet, TextChoices
from django.http import QueryDict

from opsconsole import estate
from opsconsole.errors import UsageError
from opsconsole.forms import ticket_field
from opsconsole.times import Window, parse_time
from sync.forms import ANY, LONGEST_REASON
from sync.index import MOST_SEARCHED
from sync.models import Mode, SkippedOrganization, SkipReason
from sync.operations.byhand import LONGEST_STATUS, MOST_COMPARED
from sync.operations.ids import Output, Subject, organization_rules, require_keys
from sync.operations.skiplist import LONGEST_NOTE

HTML_NAMES = {"start": "from", "end": "to"}
MONO = {"class": "mono", "autocomplete": "off", "spellcheck": "false"}


def ids_field(label: str, help_text: str, rows: int = 6, **kwargs: Any) -> forms.CharField:
    widget = forms.Textarea(attrs={"rows": rows, "spellcheck": "false", "autocomplete": "off"})
    kwargs.setdefault("error_messages", {"required": "Give at least one id."})
    return forms.CharField(label=label, help_text=help_text, strip=False, widget=widget, **kwargs)


def organization_field(**kwargs: Any) -> forms.CharField:
    return forms.CharField(
        label="Organization",
        max_length=500,
        widget=forms.TextInput(attrs=MONO),
        help_text="Its id, with or without the prefix, or the link to its page.",
        **kwargs,
    )


def reason_field(*, required: bool, help_text: str = "Kept on the audit log.") -> forms.CharField:
    return forms.CharField(
        max_length=LONGEST_REASON,
        required=required,
        help_text=help_text,
        error_messages={"required": "Say why, in a few words."},
    )


def time_field(label: str, name: str) -> forms.CharField:
    attrs = {"placeholder": "yyyy-mm-dd hh:mm:ss", "data-utc-local": f"{name}-local"} | MONO
    return forms.CharField(
        label=label,
        max_length=40,
        widget=forms.TextInput(attrs=attrs),
        help_text="UTC, unless it says another zone.",
        error_messages={"required": "Give a time: yyyy-mm-dd hh:mm:ss."},
    )


def show_as_typed(form: forms.Form, name: str, text: str) -> None:
    """Have a bound form show `text` in a field, as if it had been typed there: what a file brought, to be put right."""
    assert isinstance(form.data, QueryDict), "a form bound to a request"
    data = form.data.copy()
    data[name] = text
    form.data = data


class WindowFields(forms.Form):
    """Both ends of a window, `from` and `to` in the address. `window()` is there once the form is valid."""

    start = time_field("Updated from, included", "from")
    end = time_field("To, not included", "to")

    def add_prefix(self, field_name: str) -> str:
        return HTML_NAMES.get(field_name, field_name)

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        times = []
        for name, what in (("start", "From"), ("end", "To")):
            if name in values:
                try:
                    times.append(parse_time(values[name], what)[0])
                except UsageError as error:
                    self.add_error(name, str(error))
        if len(times) == len(HTML_NAMES):
            values["window"] = Window(*times)
            if times[0] >= times[1]:
                self.add_error("end", "To is not after From; the window would be empty.")
        return values

    def window(self) -> Window:
        window: Window = self.cleaned_data["window"]
        return window


class TasksForm(forms.Form):
    ids = ids_field(
        "Task ids or links",
        f"As you have them, up to {MOST_COMPARED:,}: one per line, or separated by commas or blanks; with the prefix "
        "or without; a CSV; links to their pages.",
    )


class QueryForm(forms.Form):
    """A query on the index, in the address: `?way=query&status=waiting&limit=100`."""

    status = forms.CharField(max_length=LONGEST_STATUS, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    limit = forms.IntegerField(
        label="At most",
        min_value=1,
        max_value=MOST_SEARCHED,
        initial=100,
        widget=forms.TextInput(attrs={"inputmode": "numeric"}),
        help_text=f"Tasks, the first by id. 1 to {MOST_SEARCHED:,}.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        tasks = estate.current().source.tasks
        known = ", ".join((*tasks.active, *tasks.completed))
        self.fields["status"].help_text = f"As the index has it. Known: {known}." if known else "As the index has it."


class WindowForm(WindowFields):
    """One organization and a window, in the address: `?way=window&organization=…&from=…&to=…`."""

    organization = organization_field()
    field_order = ("organization", "start", "end")


class SyncTasksForm(forms.Form):
    """The start of what a preview of tasks showed."""

    ids = forms.CharField(strip=False, widget=forms.HiddenInput)
    reason = reason_field(required=True)
    ticket = ticket_field()


class SyncWindowForm(WindowFields):
    """The start of one organization's window; `mode` is the button that was pressed. A report needs no reason."""

    organization = organization_field()
    mode = forms.ChoiceField(choices=Mode.choices, initial=Mode.SYNC.value)
    reason = reason_field(required=False, help_text="Kept on the audit log. Needed to sync.")
    ticket = ticket_field()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("organization", "start", "end", "mode"):
            self.fields[name].widget = forms.HiddenInput()

    def clean(self) -> dict[str, Any]:
        values = super().clean()
        if values.get("mode") == Mode.SYNC and not values.get("reason"):
            self.add_error("reason", "Say why, in a few words.")
        return values


class Which(TextChoices):
    SKIPPED = "skipped", "All on the skip list now"
    LISTED = "listed", "Those listed below"


class WindowsForm(WindowFields):
    """A window over many organizations: all on the skip list, or those of a list."""

    which = forms.ChoiceField(
        label="Organizations",
        choices=Which.choices,
        widget=forms.RadioSelect,
        initial=Which.SKIPPED.value,
    )
    ids = ids_field("List", "Organization ids in any shape.", required=False)
    mode = forms.ChoiceField(
        choices=[
            (Mode.REPORT.value, "Report: compare and say what is out of sync. Nothing is published."),
            (Mode.SYNC.value, "Sync: publish what is out of sync, then see that the index has it."),
        ],
        initial=Mode.REPORT.value,
        widget=forms.RadioSelect,
    )
    field_order = ("which", "ids", "start", "end", "mode")

    def clean(self) -> dict[str, Any]:
        values = super().clean()
        if values.get("which") == Which.LISTED and not values.get("ids", "").strip():
            self.add_error("ids", "Give at least one organization id.")
        return values

    def lines(self) -> list[str] | None:
        """None for the skip list."""
        text: str = self.cleaned_data["ids"]
        return None if self.cleaned_data["which"] == Which.SKIPPED else text.splitlines()


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


class IdsForm(forms.Form):
    of = forms.ChoiceField(
        label="Ids of",
        choices=[(one.value, one.value.capitalize()) for one in Subject],
        initial=Subject.ORGANIZATIONS.value,
        widget=forms.RadioSelect,
    )
    ids = ids_field(
        "Ids",
        "As you have them: bare, prefixed, quoted, separated by anything, CSV, JSON, an SQL list, links.",
        8,
        required=False,
    )
    file = forms.FileField(label="Or a file", required=False, allow_empty_file=True)
    column = forms.CharField(
        label="Column",
        required=False,
        max_length=200,
        help_text="Of a CSV, by name or number, where it cannot be seen.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    to = forms.ChoiceField(
        label="Give them back",
        choices=[
            (Output.BARE.value, "Bare, one per line"),
            (Output.PREFIXED.value, "Prefixed, commas between"),
            (Output.QUOTED.value, "Prefixed and quoted"),
            (Output.SQL.value, "SQL IN list"),
            (Output.CSV.value, "CSV"),
        ],
        initial=Output.BARE.value,
    )
