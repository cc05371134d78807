"""The same texts in every file, part of a page, answer of the API and message: cells that no spreadsheet runs, one
text a line, nothing that moves a terminal's cursor."""

from __future__ import annotations

import csv
import email
import email.policy
import io
import logging
import re
from collections.abc import Mapping
from typing import Any

import pytest
from django.core import mail
from django.core.management import call_command
from django.urls import reverse

from monitoring.alerts.models import ChannelKind
from monitoring.alerts.sending import Message, Target, send
from monitoring.alerts.texts import Text, registered_texts, render
from opsconsole.api.routes import declared
from opsconsole.cells import FORMULA
from opsconsole.logs import JsonLineFormatter, LineFormatter
from opsconsole.models import AuditEntry
from tests.browser.pages import FILES, PARTS
from tests.browser.scene import Scene
from tests.hardened.doors import LARGEST_PAGE, client_of, text_of, wrong_with
from tests.hardened.place import PERSON, Place
from tests.hardened.strings import HOSTILE, dangerous_in

pytest_plugins = ["tests.fixtures_sync", "tests.fixtures_records", "tests.fixtures_abandonment"]

ADMINISTRATOR = "administrator"
NUMBER = re.compile(r"[+-]?\d[\d.,]*$")


def arguments(scene: Scene) -> Mapping[str, list[object]]:
    """Of each file, and of each part of a page that has any."""
    return {
        "abandonment:tasks_csv": [],
        "audit_csv": [],
        "records:counts_csv": ["uploads"],
        "records:stuck_csv": ["uploads"],
        "schedules:runs_csv": ["pulse"],
        "sync:affected_csv": [scene.run],
        "sync:affected_ids": [scene.run],
        "sync:batch_csv": [scene.synced],
        "sync:job_drift_csv": [scene.done_job],
        "sync:job_events": [scene.done_job],
        "sync:skip_csv": [],
        "sync:affected_live": [scene.run],
        "sync:batch_live": [scene.synced],
        "sync:job_live": [scene.looping_job],
        "schedules:run_live": [scene.scheduled_run],
    }


def read(route: str, place: Place) -> str:
    response = client_of(ADMINISTRATOR).get(reverse(route, args=arguments(place.scene).get(route, [])))
    assert response.status_code == 200, route
    return text_of(response)


@pytest.mark.parametrize("route", sorted(FILES))
def test_file(route: str, hostile: Place) -> None:
    text = read(route, hostile)
    taken = AuditEntry.objects.latest("pk")
    assert (taken.action, taken.actor) == ("data.exported", f"{PERSON}{ADMINISTRATOR}")
    assert dangerous_in(text) == set()
    assert len(text) < LARGEST_PAGE
    if route.endswith("_csv"):
        rows = list(csv.reader(io.StringIO(text)))
        assert len(rows) > 1
        cells = [cell for row in rows for cell in row]
        assert [
            cell for cell in cells if FORMULA.match(cell) and not cell.startswith("'") and not NUMBER.match(cell)
        ] == []
        assert [cell for cell in cells if "\n" in cell or "\r" in cell] == []
        assert {len(row) for row in rows} == {len(rows[0])}


@pytest.mark.parametrize("route", sorted(one for one in PARTS if one.endswith("_live")))
def test_part_of_a_page(route: str, hostile: Place) -> None:
    assert wrong_with(read(route, hostile)) == []


def test_the_api_answers_with_json_that_is_ascii(hostile: Place) -> None:
    """Programs get what is stored, as escapes: neither a line nor a terminal can be broken by it."""
    client, scene, found = client_of(ADMINISTRATOR), hostile.scene, 0
    numbers = {
        "jobs": scene.done_job,
        "batches": scene.synced,
        "batch-plans": scene.plan,
        "scheduled-runs": scene.scheduled_run,
        "monitors": scene.monitor,
        "alerts": scene.alert,
        "tracked-tasks": scene.tracked,
    }
    for route in (route for routes in declared() for route in routes.routes if route.method == "GET"):
        values = {"name": "uploads" if route.path.startswith("records") else "pulse", "trace_id": str(scene.trace)}
        values["number"] = str(numbers.get(route.path.partition("/")[0], 0))
        path = re.sub(r"\{([a-z_]+)\}", lambda match: values.get(match[1], "x"), route.path)  # noqa: B023
        response = client.get(f"/api/v1/{path}", WINDOW if route.path.startswith("affected") else {})
        assert response.status_code in (200, 502, 503), (path, text_of(response)[:500])
        text = text_of(response)
        if response.streaming:
            assert AuditEntry.objects.latest("pk").action == "data.exported", path
        assert text.isascii(), path
        assert dangerous_in(text) == set(), path
        assert "html" not in response["Content-Type"], path
        found += "x-hostile" in text
    assert found >= 20


WINDOW = {"from": "2000-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}


def hostile_context(example: Any) -> Any:
    """The example of a text, each of its own words made hostile."""
    if isinstance(example, Mapping):
        return {name: hostile_context(value) for name, value in example.items()}
    if isinstance(example, (list, tuple)):
        return [hostile_context(value) for value in example]
    return HOSTILE if isinstance(example, str) and example else example


@pytest.mark.parametrize("text", registered_texts(), ids=lambda text: text.name)
def test_message(text: Text, hostile: Place) -> None:
    """As it is mailed, posted and previewed."""
    content = render(text.template, hostile_context(text.example))
    assert dangerous_in(content.subject + content.plain + content.html) == set()
    assert "\n" not in content.subject
    assert "\r" not in content.plain
    assert wrong_with(content.html) == []
    failed = send(Target(ChannelKind.EMAIL, "ann@example.com"), Message("key", content, "critical", {}))
    assert failed is None
    (sent,) = mail.outbox
    parsed = email.message_from_bytes(sent.message().as_bytes(), policy=email.policy.default)
    assert "Set-Cookie" not in parsed
    assert parsed["To"] == "ann@example.com"
    mail.outbox.clear()


@pytest.mark.parametrize("formatter", [LineFormatter("{levelname} {name}: {message}", style="{"), JsonLineFormatter()])
def test_log_line(formatter: logging.Formatter) -> None:
    record = logging.makeLogRecord({"name": HOSTILE, "msg": "It said %s.", "args": (HOSTILE,), "levelname": "INFO"})
    written = formatter.format(record)
    assert "\n" not in written
    assert dangerous_in(written) == set()


COMMANDS = (
    ("affected_orgs", "--from", "2000-01-01T00:00Z", "--to", "2100-01-01T00:00Z"),
    ("skip_list", "export", "-"),
    ("channels", "list"),
    ("scheduled_jobs", "list"),
    ("monitors",),
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_command(command: tuple[str, ...], hostile: Place) -> None:
    out, err = io.StringIO(), io.StringIO()
    call_command(*command, stdout=out, stderr=err)
    assert 0 < len(out.getvalue()) < LARGEST_PAGE
    assert dangerous_in(out.getvalue() + err.getvalue()) == set()
