"""What the page of the audit log is searched by."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.db.models import QuerySet

from opsconsole.audit import LONGEST_TICKET, Door
from opsconsole.errors import UsageError
from opsconsole.models import AuditEntry
from opsconsole.times import parse_time

PLAIN = {"autocomplete": "off", "spellcheck": "false"}
DOORS = [("", "Any"), *((door.value, door.value.capitalize()) for door in Door)]


class AuditFilter(forms.Form):
    """All of them together; each is served by an index, or narrows what one of them found."""

    LOOKUPS: ClassVar = {
        "actor": "actor",
        "action": "action",
        "subject": "subject",
        "trace": "trace_id",
        "door": "door",
        "ticket": "ticket",
    }

    actor = forms.CharField(required=False, max_length=150, label="Who")
    action = forms.CharField(required=False, max_length=60, label="What", help_text="Such as batch.started.")
    subject = forms.CharField(required=False, max_length=200, label="On what", help_text="Such as job:12.")
    ticket = forms.CharField(required=False, max_length=LONGEST_TICKET, help_text="Such as OPS-41.")
    trace = forms.UUIDField(required=False, label="Trace", error_messages={"invalid": "A trace id is a UUID."})
    door = forms.ChoiceField(choices=DOORS, required=False, label="By")
    start = forms.CharField(required=False, max_length=40, label="From", help_text="UTC, or with a zone.")
    end = forms.CharField(required=False, max_length=40, label="To")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs |= PLAIN

    def clean_start(self) -> Any:
        return self._time("start")

    def clean_end(self) -> Any:
        return self._time("end")

    def _time(self, name: str) -> Any:
        text = self.cleaned_data[name]
        if not text:
            return None
        try:
            return parse_time(text, "")[0]
        except UsageError as error:
            raise forms.ValidationError(str(error).strip()) from error

    def narrow(self, rows: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        """`rows` as asked for; call it once the form is valid."""
        values = self.cleaned_data
        rows = rows.filter(**{lookup: values[name] for name, lookup in self.LOOKUPS.items() if values[name]})
        if values["start"]:
            rows = rows.filter(at__gte=values["start"])
        return rows.filter(at__lt=values["end"]) if values["end"] else rows
