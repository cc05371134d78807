"""A ticket beside every reason: of every form, body of the API and command, on the act's audit row, found there."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django import forms
from django.core.management import call_command, get_commands, load_command_class
from django.urls import get_resolver
from ninja import Schema

from opsconsole.access import Role
from opsconsole.api.routes import Reason
from opsconsole.models import AuditEntry
from tests.api.callers import problem_of, program
from tests.sync.jobs import make_job
from tests.web.sync_rows import client_of

OURS = ("opsconsole.", "sync.", "monitoring.")
SENTENCES = {"reason", "note"}
# A note of these is a remark among colleagues, and no reason for an act.
REMARKS = {"AcknowledgeForm", "NoteForm", "Acknowledge"}


def below(cls: type[Any]) -> Iterator[type[Any]]:
    for one in cls.__subclasses__():
        yield one
        yield from below(one)


def test_every_form_that_asks_why_asks_for_a_ticket() -> None:
    assert get_resolver().url_patterns, "all views, and so all forms, are imported"
    asked, missing = set(), set()
    for form in (one for one in below(forms.Form) if one.__module__.startswith(OURS)):
        fields = form.base_fields
        sentences = [one for one in SENTENCES & set(fields) if not isinstance(fields[one], forms.ChoiceField)]
        if sentences and form.__name__ not in REMARKS:
            asked.add(form.__name__)
            if "ticket" not in fields or fields["ticket"].max_length != 100:
                missing.add(form.__name__)
    assert missing == set()
    assert len(asked) >= 15


def test_every_body_that_says_why_may_name_a_ticket() -> None:
    assert get_resolver().url_patterns, "all endpoints are imported"
    ours = [one for one in below(Schema) if one.__module__.startswith(OURS) and one.__name__ not in REMARKS]
    said = [one for one in ours if one.model_config.get("extra") == "forbid" and SENTENCES & set(one.model_fields)]
    assert [one.__name__ for one in said if "ticket" not in one.model_fields] == []
    assert Reason in said
    assert len(said) >= 8


@pytest.mark.django_db
def test_one_of_a_page_is_on_the_audit_log_and_found_there() -> None:
    admin = client_of(Role.ADMINISTRATOR)
    typed = {"reason": "a quiet weekend", "ticket": " OPS-41 ", "lag_limit": "7"}
    assert admin.post("/pipeline/limits/", typed).status_code == 302
    entry = AuditEntry.objects.get(action="pipeline.limits_changed")
    assert (entry.reason, entry.ticket) == ("a quiet weekend", "OPS-41")
    found = admin.get("/audit/?ticket=OPS-41")
    assert [row.pk for row in found.context["table"].data] == [entry.pk]
    assert "OPS-41" in found.content.decode()
    too_long = admin.post("/pipeline/limits/", typed | {"ticket": "x" * 101})
    assert too_long.status_code == 400
    assert "at most 100 characters" in too_long.content.decode()


@pytest.mark.django_db
def test_one_of_a_program_is_on_the_audit_log_and_found_there() -> None:
    ops, job = program(Role.OPERATOR), make_job()
    answer = ops.post(f"jobs/{job.pk}/cancel", {"reason": "customers asked", "ticket": " OPS-42 "})
    assert answer.status_code == 200
    entry = AuditEntry.objects.get(subject=f"job:{job.pk}")
    assert (entry.reason, entry.ticket, entry.door) == ("customers asked", "OPS-42", "api")
    (found,) = program(Role.VIEWER).get("audit", {"ticket": "OPS-42"}).json()["items"]
    assert (found["number"], found["ticket"]) == (entry.pk, "OPS-42")
    wrong = problem_of(ops.post(f"jobs/{job.pk}/cancel", {"reason": "again", "ticket": "x" * 101}))
    assert wrong["status"] == 422


def test_every_command_that_takes_a_reason_takes_a_ticket() -> None:
    said = set()
    for name, app in get_commands().items():
        if f"{app}.".startswith(OURS):
            options = load_command_class(app, name).create_parser("manage.py", name)._option_string_actions
            assert ("--reason" in options) == ("--ticket" in options), name
            said |= {name} if "--reason" in options else set()
    assert {"job", "throttle_batch", "skip_list", "run_scheduled"} <= said


@pytest.mark.django_db
def test_one_of_a_command_is_on_the_audit_log() -> None:
    job = make_job()
    call_command("job", "cancel", str(job.pk), "--reason", "wrong window", "--ticket", "OPS-43", stdout=StringIO())
    assert AuditEntry.objects.get(subject=f"job:{job.pk}").ticket == "OPS-43"
    with pytest.raises(SystemExit) as ended:
        call_command("job", "cancel", str(job.pk), "--reason", "x", "--ticket", "x" * 101, stderr=StringIO())
    assert ended.value.code == 2
