"""Finding jobs: every filter of the list, everything about one customer, the same errors together."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from opsconsole.access import Role
from sync.models import Job, JobKind, JobState, SkippedOrganization, StagedOrganization
from tests.sync.jobs import make_job
from tests.web.sync_rows import HOSTILE, MOST_QUERIES, client_of

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.django_db
FINGERPRINT = "0123456789abcdef"


def shown(asked: dict[str, str]) -> list[int]:
    response = client_of(Role.VIEWER).get("/sync/jobs/", asked)
    assert response.status_code == 200
    text = response.content.decode()
    return [number for number in Job.objects.values_list("pk", flat=True) if f'href="/sync/jobs/{number}/"' in text]


def test_each_filter_finds_its_jobs_only() -> None:
    worker = uuid4().hex
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    wanted = make_job(mode="sync", worker=worker, error_fingerprint=FINGERPRINT, created_at=noon, error="It broke.")
    make_job(mode="report", worker="other", error_fingerprint="f" * 16, created_at=datetime(2026, 3, 2, tzinfo=UTC))
    for asked in (
        {"job": str(wanted.pk)},
        {"mode": "sync"},
        {"worker": worker},
        {"worker": worker[:8]},
        {"error": FINGERPRINT},
        {"error": FINGERPRINT.upper()},
        {"from": "2026-03-01 12:00:00", "to": "2026-03-01 12:00:01"},
        {"to": "2026-03-01T13:30:00+01:00"},
    ):
        assert shown(asked) == [wanted.pk], asked
    assert shown({"from": "2026-03-01 12:00:01", "to": "2026-03-02"}) == []


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"job": "twelve"}, "whole number"),
        ({"mode": "odd"}, "not one of the available choices"),
        ({"error": "xyz"}, "16 digits"),
        ({"from": "yesterday"}, "is no time"),
        ({"from": "2026-03-02", "to": "2026-03-01"}, "no job could match"),
    ],
)
def test_a_wrong_filter_is_said_where_it_is_and_kept(asked: dict[str, str], said: str) -> None:
    response = client_of(Role.VIEWER).get("/sync/jobs/", asked)
    text = response.content.decode()
    assert response.status_code == 400
    assert said in text
    assert '<details class="filter-more" id="more-filters" open>' in text


def test_everything_about_one_customer(django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    key, now = str(uuid4()), timezone.now()
    checked = make_job(organization_id=key, state=JobState.DONE, ended_at=now, stale=3, organization_name=HOSTILE)
    make_job(organization_id=key, state=JobState.DONE, ended_at=now, kind=JobKind.WINDOW)
    active = make_job(organization_id=key, state=JobState.RUNNING)
    StagedOrganization.objects.create(organization_id=key, staged_by="grace", origin="query 7")
    SkippedOrganization.objects.create(organization_id=key, reason="looped", note="too big", skipped_by="clock")
    client = client_of(Role.OPERATOR)
    with django_assert_max_num_queries(MOST_QUERIES):
        text = client.get("/sync/jobs/", {"organization": f"s-{key}"}).content.decode()
    for said in ("by grace", "query 7", "Looped", "too big", "3 out of sync", f"job {checked.pk}", f"Job {active.pk}"):
        assert said in text
    assert HOSTILE not in text


def test_a_customer_nobody_has_met_has_an_empty_standing() -> None:
    text = client_of(Role.VIEWER).get("/sync/jobs/", {"organization": str(uuid4())}).content.decode()
    for said in ("No active job", "Never", "Not on it", "No job matches."):
        assert said in text


def test_the_same_errors_are_one_line(django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    for number in range(3):
        make_job(state=JobState.FAILED, error=f"Row {number} is odd.", error_fingerprint=FINGERPRINT)
    make_job(state=JobState.FAILED, error=HOSTILE, error_fingerprint="a" * 16)
    make_job()
    client = client_of(Role.VIEWER)
    with django_assert_max_num_queries(MOST_QUERIES):
        text = client.get("/sync/jobs/errors/").content.decode()
    assert "Row 2 is odd." in text
    assert "Row 1 is odd." not in text
    assert f'href="/sync/jobs/?error={FINGERPRINT}" aria-label="Jobs with this error: 3">3</a>' in text
    assert HOSTILE not in text
    assert len(shown({"error": FINGERPRINT})) == 3


def test_no_errors_say_so() -> None:
    assert "No job has an error" in client_of(Role.VIEWER).get("/sync/jobs/errors/").content.decode()
