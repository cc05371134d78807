"""Every list of the console is to be had as a file: the rows that the page's filter and sort ask for, all of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import pytest
from django.db import connection
from django.http import HttpResponseBase
from django.test.utils import CaptureQueriesContext

from opsconsole import tables
from opsconsole.access import Role
from opsconsole.models import AuditEntry
from sync.models import JobState
from tests.company import EstateWriter
from tests.hardened.doors import text_of
from tests.monitoring.alerting import run_failed
from tests.sync.jobs import make_job
from tests.web.sync_rows import HOSTILE, client_of, stage_rows

pytestmark = pytest.mark.django_db
pytest_plugins = ["tests.fixtures_sync"]


def read(response: HttpResponseBase) -> list[list[str]]:
    assert (response.status_code, response["Content-Type"]) == (200, "text/csv; charset=utf-8")
    return list(csv.reader(io.StringIO(text_of(response))))


def test_what_the_page_shows_all_pages_of_it(use_estate: EstateWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ROWS_OF_A_PAGE", 2)
    jobs = [make_job(organization_name=name, state=JobState.DONE) for name in ("=1+1", HOSTILE, "a", "b", "c")]
    make_job(state=JobState.FAILED)
    header, *rows = read(client_of(Role.OPERATOR).get("/sync/jobs/?state=done&csv=1"))
    assert (header[0], "Created (UTC)" in header) == ("Job", True)
    assert [row[0].split()[0] for row in rows] == [str(job.pk) for job in reversed(jobs)]
    text = "\n".join(cell for row in rows for cell in row)
    assert HOSTILE in text
    assert jobs[0].created_at.isoformat(" ", "seconds")[:19] in text
    assert not any(cell.startswith("=") for row in rows for cell in row)
    exported = AuditEntry.objects.get(action="data.exported")
    assert exported.subject == "page:/sync/jobs/"
    assert exported.details["file"] == "jobs.csv"


def test_it_costs_one_query_a_page(use_estate: EstateWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    stage_rows(30)
    client = client_of(Role.VIEWER)
    asked = {}
    for size in (40, 10):
        monkeypatch.setattr(tables, "ROWS_OF_A_PAGE", size)
        asked[size] = queries_of(lambda: len(read(client.get("/sync/staged/?csv=1"))))
    assert asked[10] == asked[40] + 2


def queries_of(act: Callable[[], int]) -> int:
    with CaptureQueriesContext(connection) as asked:
        assert act() == 31
    return len(asked)


@pytest.mark.parametrize(
    "address",
    [
        "/sync/affected/runs/",
        "/sync/staged/",
        "/sync/jobs/dead/",
        "/alerts/",
        "/alerts/outbox/",
        "/alerts/outbox/dead/",
        "/alerts/mutes/",
        "/alerts/channels/",
        "/schedules/",
        "/schedules/monitors/",
        "/schedules/missed/",
        "/schedules/dead/",
        "/pipeline/canary/",
        "/tokens/",
    ],
)
def test_every_list_has_one(use_estate: EstateWriter, address: str) -> None:
    run_failed(title=HOSTILE)
    header, *_ = read(client_of(Role.ADMINISTRATOR).get(f"{address}?csv=1"))
    assert len(header) > 1


def test_the_page_offers_it_and_a_wrong_filter_is_a_page(use_estate: EstateWriter) -> None:
    make_job(mode="report")
    client = client_of(Role.VIEWER)
    assert 'href="?mode=report&amp;csv=1" download' in client.get("/sync/jobs/?mode=report").content.decode()
    wrong = client.get("/sync/jobs/?batch=x&csv=1")
    assert (wrong.status_code, wrong["Content-Type"]) == (400, "text/html; charset=utf-8")
