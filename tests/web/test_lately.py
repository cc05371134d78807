"""The last day on one page: its verdict, the worst first, for those who may see it."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from monitoring.schedules.models import Run, RunState
from opsconsole import audit
from opsconsole.access import Role
from opsconsole.lately import Account, verdict
from opsconsole.tones import Tone
from sync.models import JobState
from tests.company import EstateWriter
from tests.monitoring.alerting import run_failed
from tests.monitoring.scheduled import make_scheduled_job
from tests.sync.jobs import make_job
from tests.web.sync_rows import HOSTILE, client_of, make_batch

pytestmark = pytest.mark.django_db
pytest_plugins = ["tests.fixtures_sync"]

HOUR = timedelta(hours=1)
MOST_QUERIES = 18


def page(hours: str = "") -> str:
    answer = client_of(Role.VIEWER).get("/lately/", {"hours": hours} if hours else {})
    assert answer.status_code == 200
    return answer.content.decode()


def failed_run(name: str, at: datetime, **fields: object) -> Run:
    job = make_scheduled_job(name, since=timezone.now() + HOUR)
    return Run.objects.create(scheduled_job=job, due_at=at, state=RunState.FAILED, trace_id=uuid4(), **fields)


@pytest.mark.parametrize(
    ("tones", "tone", "text"),
    [
        ([], Tone.ENDED, "Nothing of this is open to you"),
        ([Tone.FINE, Tone.FINE], Tone.FINE, "All was well"),
        ([Tone.FINE, Tone.ENDED], Tone.ENDED, "All is well now; something was wrong, and is over or settled: part 1"),
        ([Tone.ENDED, Tone.WAITING], Tone.WAITING, "Nothing failed, but something is left to do: part 1"),
        ([Tone.PROBLEM, Tone.WAITING, Tone.PROBLEM], Tone.PROBLEM, "Not all was well: part 0, part 2"),
    ],
)
def test_the_worst_is_the_verdict(tones: list[Tone], tone: Tone, text: str) -> None:
    told = [(f"Part {place}", Account(one, "", "/")) for place, one in enumerate(tones)]
    assert verdict(told) == (tone, text)


def test_a_quiet_night(use_estate: EstateWriter) -> None:
    text = page()
    assert "All was well." in text
    assert "Nobody did anything." in text


def test_each_part_says_what_was_wrong_and_leads_there(use_estate: EstateWriter) -> None:
    now = timezone.now()
    run = failed_run("nightly", now - 2 * HOUR, error="No such class.")
    failed_run("weekly", now - 30 * HOUR)
    alert = run_failed(now=now - HOUR)
    batch = make_batch(name="After the gap")
    job = make_job(batch=batch, state=JobState.FAILED, ended_at=now - HOUR, error=HOSTILE)
    audit.record(audit.Actor("ada", audit.Door.PAGE), "batch.started", f"batch:{batch.pk}", reason="OPS-41")
    text = page()
    assert "Not all was well: scheduled runs, batches, jobs." in text
    for address in (
        f"/schedules/runs/{run.pk}/",
        f"/alerts/{alert.pk}/",
        f"/sync/batches/{batch.pk}/",
        f"/sync/jobs/{job.pk}/",
        "/audit/",
    ):
        assert f'href="{address}' in text
    assert "No such class." in text
    assert "weekly" not in text
    assert "ada" in text
    assert HOSTILE not in text
    assert "weekly" in page("72")


def test_what_somebody_has_settled_is_said_and_not_held_against_the_night(use_estate: EstateWriter) -> None:
    now = timezone.now()
    failed_run("nightly", now - HOUR, settled_at=now, settled_by="ada", settled_reason="The tables were empty.")
    text = page()
    assert "All is well now; something was wrong, and is over or settled: scheduled runs." in text
    assert "settled by ada: The tables were empty." in text


def test_only_hours_that_are_offered(use_estate: EstateWriter) -> None:
    answer = client_of(Role.VIEWER).get("/lately/", {"hours": "5"})
    assert answer.status_code == 400
    assert "allowed are 12, 24, 72, 168" in answer.content.decode()


def test_as_many_queries_whatever_there_is(use_estate: EstateWriter) -> None:
    client, now = client_of(Role.VIEWER), timezone.now()

    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            client.get("/lately/")
        return len(queries)

    def bad(name: str) -> None:
        failed_run(name, now - HOUR)
        run_failed(f"job:{name}", now=now - HOUR)
        make_job(batch=make_batch(), state=JobState.LOOPING, ended_at=now - HOUR)

    bad("nightly")
    asked()
    before = asked()
    for place in range(12):
        bad(f"nightly-{place}")
    assert asked() == before <= MOST_QUERIES
