"""What the list of jobs and the list of drift are asked: GET forms, and the rows that fit them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from django import forms
from django.db.models import Q, QuerySet

from opsconsole import estate
from opsconsole.errors import UsageError
from opsconsole.times import parse_time
from sync.engine.rows import DriftKind
from sync.form_fields import time_field, whole_number
from sync.forms import ACTIVE, ANY, DEAD, LARGEST_NUMBER
from sync.models import Drift, Job, JobKind, JobState, Mode, Verification
from sync.models.states import ACTIVE_STATES, PROBLEM_STATES
from sync.operations.ids import IdRules, organization_rules, read_ids, task_rules

FINGERPRINT = re.compile(r"[0-9a-f]{16}")
SHORT_NAME = re.compile(r"[0-9a-f]{8}")
HTML_NAMES = {"start": "from", "end": "to", "number": "job"}
ALWAYS_SHOWN = ("organization", "state", "kind", "batch")
LONGEST_ID = 300
STATE_GROUPS = ((ACTIVE, "Active: not ended yet"), (DEAD, "Dead letters: given up"))
GROUPS = {ACTIVE: ACTIVE_STATES, DEAD: PROBLEM_STATES}


def number_field(label: str) -> forms.IntegerField:
    return whole_number(label, required=False, min_value=1, max_value=LARGEST_NUMBER)


def text_field(label: str, longest: int, **attrs: Any) -> forms.CharField:
    widget = forms.TextInput(attrs={"class": "mono", "autocomplete": "off"} | attrs)
    return forms.CharField(label=label, required=False, max_length=longest, widget=widget)


def one_id(text: str, rules: IdRules) -> str:
    """The bare id of one organization or task, whatever shape it was typed in; empty for nothing."""
    if not text:
        return ""
    try:
        parsed = read_ids(text, rules)
    except UsageError as error:
        raise forms.ValidationError(str(error)) from error
    if parsed.malformed:
        raise forms.ValidationError(f"{parsed.malformed[0].text!r} {parsed.malformed[0].why}.")
    if len(parsed.keys) != 1:
        raise forms.ValidationError(f"One {rules.subject.one} at a time; {len(parsed.keys)} ids were given.")
    return str(parsed.keys[0])


class JobFilter(forms.Form):
    organization = text_field("Organization id", LONGEST_ID, **{"data-search": True})
    state = forms.ChoiceField(
        choices=[*ANY, *STATE_GROUPS, *JobState.choices],
        required=False,
        label="State",
    )
    kind = forms.ChoiceField(choices=[*ANY, *JobKind.choices], required=False)
    batch = number_field("Batch")
    number = number_field("Job")
    mode = forms.ChoiceField(choices=[*ANY, *((mode.value, mode.name.capitalize()) for mode in Mode)], required=False)
    worker = text_field("Worker", 200)
    error = text_field("Error fingerprint", 16)
    start = time_field("Created from (UTC)", "from", required=False, help_text="")
    end = time_field("Created before (UTC)", "to", required=False, help_text="")

    def add_prefix(self, field_name: str) -> str:
        return HTML_NAMES.get(field_name, field_name)

    @property
    def more_asked(self) -> bool:
        """Whether a field is in use, or wrong, that the page otherwise keeps folded away."""
        return any(
            self.data.get(self.add_prefix(name)) or name in self.errors
            for name in self.fields
            if name not in ALWAYS_SHOWN
        )

    @property
    def asked(self) -> bool:
        return any(self.cleaned_data.values())

    def clean_organization(self) -> str:
        return one_id(self.cleaned_data["organization"], organization_rules(estate.current().source))

    def clean_error(self) -> str:
        text: str = self.cleaned_data["error"].lower()
        if text and not FINGERPRINT.fullmatch(text):
            raise forms.ValidationError("A fingerprint has 16 digits, 0 to 9 and a to f, as “Same errors” shows them.")
        return text

    def clean_start(self) -> datetime | None:
        return self._time("start", "Created from")

    def clean_end(self) -> datetime | None:
        return self._time("end", "Created before")

    def _time(self, name: str, what: str) -> datetime | None:
        text: str = self.cleaned_data[name]
        try:
            return parse_time(text, what)[0] if text else None
        except UsageError as error:
            raise forms.ValidationError(str(error)) from error

    def clean(self) -> dict[str, Any]:
        wanted = super().clean() or self.cleaned_data
        start, end = wanted.get("start"), wanted.get("end")
        if start and end and start >= end:
            self.add_error("end", "This is not after “Created from”; no job could match.")
        return wanted

    def narrow(self, jobs: QuerySet[Job]) -> QuerySet[Job]:
        """Those of `jobs` that a valid form asks for."""
        wanted = self.cleaned_data
        if wanted["state"]:
            jobs = jobs.filter(state__in=GROUPS.get(wanted["state"], [wanted["state"]]))
        if wanted["worker"]:
            jobs = jobs.filter(_of_worker(wanted["worker"]))
        asked = {
            "organization_id": wanted["organization"],
            "kind": wanted["kind"],
            "batch_id": wanted["batch"],
            "pk": wanted["number"],
            "mode": wanted["mode"],
            "error_fingerprint": wanted["error"],
            "created_at__gte": wanted["start"],
            "created_at__lt": wanted["end"],
        }
        return jobs.filter(**{name: value for name, value in asked.items() if value})


def _of_worker(name: str) -> Q:
    """By the whole name; a made-up one also by its first eight digits, which is what lists show of it."""
    found = Q(worker=name)
    if SHORT_NAME.fullmatch(name):
        found |= Q(worker__gte=name, worker__lt=f"{name}g")  # a range, unlike LIKE, uses the index in any locale
    return found


class DriftFilter(forms.Form):
    task = text_field("Task id", LONGEST_ID, **{"data-search": True})
    kind = forms.ChoiceField(choices=[*ANY, *((kind.value, kind.value.title()) for kind in DriftKind)], required=False)
    verification = forms.ChoiceField(choices=[*ANY, *Verification.choices], required=False)

    def clean_task(self) -> str:
        return one_id(self.cleaned_data["task"], task_rules(estate.current().source))

    @property
    def asked(self) -> bool:
        return any(self.cleaned_data.values())

    def narrow(self, drift: QuerySet[Drift]) -> QuerySet[Drift]:
        """Those of `drift` that a valid form asks for."""
        wanted = self.cleaned_data
        asked = {"task_id": wanted["task"], "kind": wanted["kind"]}
        found = drift.filter(**{name: value for name, value in asked.items() if value})
        return found.filter(Verification(wanted["verification"]).among()) if wanted["verification"] else found
