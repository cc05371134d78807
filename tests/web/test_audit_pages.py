"""The pages of the audit log."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from opsconsole.access import Role
from opsconsole.audit import Actor, Door, record
from opsconsole.models import AuditEntry
from opsconsole.subjects import LISTS, PAGES, address_of_subject
from tests.web.sync_rows import HOSTILE, MOST_QUERIES, client_of

pytestmark = pytest.mark.django_db
ADA = Actor("ada", Door.PAGE, None, "192.0.2.7", elevation="totp", ticket="OPS-41")
TRACE = UUID("5297d9a5-36f2-4105-b04f-19e742477364")


@pytest.fixture(autouse=True)
def entries() -> None:
    record(ADA, "batch.started", "batch:12", reason=HOSTILE, trace_id=TRACE, size=10)
    record(Actor("bob", Door.COMMAND), "pipeline.limits_changed", "pipeline", before={"lag": 1}, after={"lag": 2})


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("", {"batch.started", "pipeline.limits_changed"}),
        ("actor=ada", {"batch.started"}),
        ("ticket=OPS-41", {"batch.started"}),
        ("ticket=OPS-4", set()),
        ("subject=pipeline", {"pipeline.limits_changed"}),
        (f"trace={TRACE}", {"batch.started"}),
        ("door=command", {"pipeline.limits_changed"}),
        ("end=2020-01-01", set()),
        ("start=2020-01-01&action=batch.started", {"batch.started"}),
    ],
)
def test_the_search(search: str, found: set[str]) -> None:
    page = client_of(Role.VIEWER).get(f"/audit/?{search}")
    assert {row.action for row in page.context["table"].data} == found
    assert page.status_code == 200


def test_a_search_that_cannot_be_is_said_with_what_was_typed() -> None:
    page = client_of(Role.VIEWER).get("/audit/?trace=nonsense&start=yesterday")
    text = page.content.decode()
    assert page.status_code == 400
    assert "A trace id is a UUID." in text
    assert 'value="yesterday"' in text


def test_an_entry_says_all_there_is() -> None:
    number = AuditEntry.objects.get(action="batch.started").pk
    text = client_of(Role.VIEWER).get(f"/audit/{number}/").content.decode()
    assert HOSTILE not in text
    for part in ("192.0.2.7", "totp", "OPS-41", str(TRACE), "&quot;size&quot;: 10"):
        assert part in text
    changed = AuditEntry.objects.get(action="pipeline.limits_changed").pk
    assert "&quot;lag&quot;: 2" in client_of(Role.VIEWER).get(f"/audit/{changed}/").content.decode()


def test_the_list_costs_the_same_however_long_it_is() -> None:
    client = client_of(Role.VIEWER)
    for number in range(60):
        record(ADA, "thing.done", f"thing:{number}")
    with CaptureQueriesContext(
        connection,
    ) as few:
        assert client.get("/audit/?size=5").status_code == 200
    with CaptureQueriesContext(connection) as many:
        client.get("/audit/?size=50")
    assert len(many) == len(few) <= MOST_QUERIES


def test_the_csv_has_what_the_search_has_and_taking_it_is_audited() -> None:
    response = client_of(Role.VIEWER).get("/audit/csv/?actor=ada")
    lines = b"".join(response.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == 2
    assert "batch:12" in lines[1]
    taken = AuditEntry.objects.get(action="data.exported")
    assert (taken.actor, taken.subject, taken.details["search"]) == ("a-viewer", "audit", "actor=ada")


@pytest.mark.parametrize(
    ("subject", "address"),
    [
        ("job:12", "/sync/jobs/12/"),
        ("scheduled_job:nightly-sync", "/schedules/jobs/nightly-sync/"),
        ("queue:low", "/pipeline/queues/"),
        ("staged", "/sync/staged/"),
        ("estate", ""),
        ("job:", ""),
        ("job:12/../../admin", ""),
        (f"job:{HOSTILE}", ""),
    ],
)
def test_what_an_entry_is_about_leads_to_its_page(subject: str, address: str) -> None:
    assert address_of_subject(subject) == address


def test_every_page_that_a_subject_may_lead_to_is_there_for_viewers() -> None:
    for route in LISTS.values():
        assert client_of(Role.VIEWER).get(reverse(route)).status_code == 200
    for kind, route in PAGES.items():
        assert address_of_subject(f"{kind}:7"), route
