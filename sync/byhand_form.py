"""What people type to sync by hand: tasks, a query on the index, windows."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import TextChoices

from opsconsole import estate
from opsconsole.errors import UsageError
from opsconsole.forms import ticket_field
from opsconsole.times import Window, parse_time
from sync.form_fields import ids_field, organization_field, reason_field, time_field, whole_number
from sync.index import MOST_SEARCHED
from sync.models import Mode
from sync.operations.byhand import LONGEST_STATUS, MOST_COMPARED

HTML_NAMES = {"start": "from", "end": "to"}


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
    limit = whole_number(
        "At most", f"Tasks, the first by id. 1 to {MOST_SEARCHED:,}.", min_value=1, max_value=MOST_SEARCHED, initial=100
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
