"""The pages of the record statuses: what is wrong comes first, a source in trouble is said, limits are audited."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta
from html import unescape
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from monitoring.records.models import ChangedLimits, Snapshot
from monitoring.records.operations.snapshots import take
from opsconsole import estate
from opsconsole.access import Role
from opsconsole.estate.model import RecordSource, RecordStatus
from opsconsole.models import AuditEntry
from opsconsole.tones import Tone
from sync.models import StagedOrganization
from tests.company import Company, EstateWriter
from tests.monitoring.files import PREFIX, Files, UseRecords, minutes
from tests.web.sync_rows import HOSTILE, MOST_QUERIES, client_of

pytest_plugins = ["tests.fixtures_records", "tests.fixtures_sync"]
pytestmark = pytest.mark.django_db

PAGE = "/records/odd-files/"
PROCESSING = f"{PREFIX}processing"


@pytest.fixture(autouse=True)
def _odd_files(files: Files, use_records: UseRecords) -> None:
    use_records(files.source())


def text_of(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status, address
    return unescape(response.content.decode())


def plain(page: str) -> str:
    """The words of a page, without its marks."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def add(
    files: Files, status: str | None, made: float, changed: float | None = None, count: int = 1, **more: Any
) -> None:
    files.add(status, made, changed, count, now=timezone.now(), **more)


def seen_before(source: RecordSource, counts: list[int], aged: int = 0, every: float = 5.0, **fields: Any) -> None:
    """Snapshots as the clock would have taken them, the last one just now."""
    now = timezone.now()
    for place, count in enumerate(reversed(counts)):
        at = now - minutes(every * place)
        values = {"stuck": {}, "aged": {PROCESSING: aged}} | (fields if place == 0 else {})
        Snapshot.objects.create(
            source=source.name,
            bucket=at,
            taken_at=at,
            seconds=0.01,
            older_than=timedelta(seconds=source.older_than),
            younger_than=timedelta(seconds=source.younger_than),
            counts={PROCESSING: count},
            **values,
        )


def test_the_first_address_leads_to_the_first_source(files: Files, use_records: UseRecords) -> None:
    assert client_of(Role.VIEWER).get("/records/").headers["Location"] == PAGE
    use_records()
    assert "No record source is described" in text_of(client_of(Role.VIEWER), "/records/")
    assert client_of(Role.VIEWER).get(PAGE).status_code == 404


def test_counts_shares_and_the_query(files: Files) -> None:
    add(files, "processing", 60, count=3)
    add(files, "uploaded", 60)
    add(files, "ok", 60, count=9)
    page = text_of(client_of(Role.VIEWER), PAGE)
    words = plain(page)
    assert "4 records made from" in words
    assert "75.0 %" in words
    assert "25.0 %" in words
    assert "None in: error." in words
    assert "Left out: ok; show them" in words
    assert '"My.Files 100%"' in page
    assert "took" in words
    assert "Trends come with the clock's first snapshots" in words


def test_hidden_statuses_can_be_shown(files: Files) -> None:
    add(files, "ok", 60, count=9)
    assert "9 records made from" in plain(text_of(client_of(Role.VIEWER), f"{PAGE}?hidden=on"))


def test_a_status_that_the_guide_does_not_know_is_marked(files: Files) -> None:
    add(files, "surprise_party", 60)
    add(files, HOSTILE, 60)
    page = client_of(Role.VIEWER).get(PAGE).content.decode()
    assert "<script>alert" not in page
    words = plain(unescape(page))
    assert "surprise party not in the guide" in words
    assert "statuses that the guide does not know" in words


def test_the_window_is_in_the_address(files: Files) -> None:
    add(files, "processing", 5)
    add(files, "processing", 3_000)
    client = client_of(Role.VIEWER)
    assert "0 records made from" in plain(text_of(client, PAGE))
    assert "1 record made from" in plain(text_of(client, f"{PAGE}?older=0s&younger=1h"))
    assert "2 records made from" in plain(text_of(client, f"{PAGE}?older=0s&younger=7d"))
    assert "Snapshots are taken of the usual window only" in plain(text_of(client, f"{PAGE}?older=0s&younger=7d"))


@pytest.mark.parametrize("query", ["older=5h&younger=15m", "older=soon", "younger=15", "younger=9999d", "trend=1y"])
def test_a_window_that_cannot_be_is_refused(query: str) -> None:
    page = text_of(client_of(Role.VIEWER), f"{PAGE}?{query}", status=400)
    assert "field-error" in page
    assert client_of(Role.VIEWER).get(f"{PAGE}by-status.csv?{query}").status_code == 400


def test_falling_is_said_in_the_verdict_and_beside_its_chart(files: Files) -> None:
    add(files, "processing", 60, count=40)
    seen_before(files.source(), [100 - 5 * place for place in range(12)])
    page = plain(text_of(client_of(Role.VIEWER), PAGE))
    assert "Nothing is stuck, and nothing is seen to pile up." in page
    assert page.count("falling about 60 an hour, empty in about 40 minutes") == 3  # verdict, table, chart
    assert "The figures behind the charts" in page


def test_rising_is_said_before_anything_is_stuck(files: Files) -> None:
    add(files, "processing", 60, count=80)
    seen_before(files.source(), [20 + 5 * place for place in range(12)])
    page = plain(text_of(client_of(Role.VIEWER), PAGE))
    assert "Nothing is stuck, but more wait than are worked off." in page
    assert "rising about 60 an hour since before" in page
    assert "Look at the queue." in page


def test_a_fall_by_age_alone_is_no_good_news(files: Files) -> None:
    add(files, "processing", 60, count=40)
    seen_before(files.source(), [100 - 5 * place for place in range(12)], aged=5)
    page = plain(text_of(client_of(Role.VIEWER), PAGE))
    assert "more wait than are worked off" in page
    assert "falling only because records grow too old for the window" in page


def test_stuck_comes_first_with_what_to_do(files: Files) -> None:
    add(files, "processing", 150, 120, count=7)
    take(files.source(), timezone.now())
    page = plain(text_of(client_of(Role.VIEWER), PAGE))
    assert "7 are stuck, the oldest made 2 h 30 min ago." in page
    assert "7 stuck Look at the queue." in page


def test_changes_since_the_last_look_and_since_an_hour_ago(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    seen_before(files.source(), [10] * 13)
    client = client_of(Role.VIEWER)
    add(files, "processing", 60, count=4)
    first = plain(text_of(client, PAGE))
    assert "Since your last look" not in first
    assert "\N{MINUS SIGN}6" in first  # 10 an hour ago, 4 now
    session = client.session
    looks = session["record_looks"]
    looks["odd-files"][-1]["at"] = (timezone.now() - minutes(20)).isoformat()
    session["record_looks"] = looks
    session.save()
    add(files, "processing", 60, count=3)
    for _ in range(2):  # a second look within a minute compares with the same one
        again = plain(text_of(client, PAGE))
        assert "Since your last look" in again
        assert "+3" in again


def test_a_late_clock_is_said(files: Files) -> None:
    source = files.source()
    Snapshot.objects.create(
        source=source.name,
        bucket=timezone.now() - minutes(60),
        taken_at=timezone.now() - minutes(60),
        seconds=0,
        older_than=minutes(15),
        younger_than=minutes(300),
    )
    assert "look whether the clock runs" in plain(text_of(client_of(Role.VIEWER), PAGE))


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"status": "Status"}, 'column "Status" does not exist'),
        ({"table": "nowhere.files"}, 'relation "nowhere.files" does not exist'),
        ({"where": "pg_sleep(3) IS NOT NULL", "statement_timeout": 0.2}, "ended a query after the statement timeout"),
        ({"url": "postgresql://nobody@127.0.0.1:1/none"}, "nothing listens there"),
        ({"url": "reader"}, "permission denied"),
    ],
)
def test_a_source_in_trouble_is_said_and_the_rest_stands(
    files: Files, use_records: UseRecords, changed: dict[str, Any], sentence: str
) -> None:
    add(files, "processing", 150, 120)
    seen_before(files.source(), [7, 8, 9])
    if changed.get("url") == "reader":
        changed = {"url": reader_of(files)}
    use_records(files.source(**changed))
    for address in (PAGE, f"{PAGE}stuck/"):
        page = plain(text_of(client_of(Role.VIEWER), address))
        assert sentence in page
        assert "hunter2" not in page
    assert "The figures behind the charts" in plain(text_of(client_of(Role.VIEWER), PAGE))


def reader_of(files: Files) -> str:
    """A role that may come in and read nothing."""
    with psycopg.connect(files.store.url, autocommit=True) as admin:
        admin.execute(
            "DO $$ BEGIN CREATE ROLE stranger LOGIN PASSWORD 'hunter2'; EXCEPTION WHEN duplicate_object THEN END $$"
        )
        admin.execute(f'GRANT USAGE ON SCHEMA "{files.store.schema}" TO stranger'.encode())
        host, port, name = admin.info.host, admin.info.port, admin.info.dbname
    return f"postgresql://stranger:hunter2@{host}:{port}/{name}"


def test_an_empty_table(files: Files) -> None:
    page = plain(text_of(client_of(Role.VIEWER), PAGE))
    assert "Nothing waits in this window." in page
    assert "No record of this window." in page
    assert "Nothing is stuck" in plain(text_of(client_of(Role.VIEWER), f"{PAGE}stuck/"))


def test_the_page_costs_the_same_with_a_long_past(
    files: Files, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    seen_before(files.source(), [place % 50 for place in range(600)], every=1)
    client = client_of(Role.VIEWER)
    with django_assert_max_num_queries(MOST_QUERIES + 2):  # the session is written, too
        page = text_of(client, f"{PAGE}?trend=90d")
    assert page.count("<polyline") <= 4


def csv_of(client: Client, address: str) -> list[dict[str, str]]:
    response: Any = client.get(address)
    assert response.status_code == 200
    return list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))


def test_the_csv_has_the_table(files: Files) -> None:
    add(files, "processing", 60, count=3)
    add(files, "=1+1", 60)
    rows = csv_of(client_of(Role.VIEWER), f"{PAGE}by-status.csv")
    assert [(row["status"], row["records"]) for row in rows] == [(PROCESSING, "3"), (f"{PREFIX}=1+1", "1")]
    assert rows[0]["limit_seconds"] == "1800"
    assert rows[1]["label"] == "'=1+1"


def test_what_nobody_has_counted_is_not_called_well(files: Files) -> None:
    add(files, "processing", 150, 120)
    assert "Stuck ones are not counted yet, and nothing is seen" in plain(text_of(client_of(Role.VIEWER), PAGE))


def test_a_download_of_a_source_in_trouble_is_no_half_file(files: Files, use_records: UseRecords) -> None:
    use_records(files.source(status="Status"))
    client = client_of(Role.VIEWER)
    for name in ("by-status.csv", "stuck.csv"):
        assert 'column "Status" does not exist' in plain(text_of(client, PAGE + name, status=503))


def test_the_stuck_list_its_filters_and_its_csv(files: Files) -> None:
    mine = uuid4()
    add(files, "processing", 150, 120, 3, organization=mine, title=HOSTILE)
    add(files, "uploaded", 200, 190, 2, organization=uuid4())
    add(files, "processing", 100, 5)
    client = client_of(Role.VIEWER)
    page = client.get(f"{PAGE}stuck/").content.decode()
    assert "<script>alert" not in page
    assert page.count("https://app.example.com/files/") == 5
    assert "for more than 30 min" in page
    only = plain(text_of(client, f"{PAGE}stuck/?status={PREFIX}uploaded"))
    assert "CSV of all 2" in only
    assert "CSV of all 3" in plain(text_of(client, f"{PAGE}stuck/?organization=s-{mine}"))
    assert "Nothing is stuck" in plain(text_of(client, f"{PAGE}stuck/?within=1h"))
    hour = (timezone.now() - minutes(150)).replace(minute=0, second=0, microsecond=0)
    made = f"start={hour.isoformat().replace('+', '%2B')}&end={(hour + minutes(60)).isoformat().replace('+', '%2B')}"
    assert "CSV of all 3" in plain(text_of(client, f"{PAGE}stuck/?status={PROCESSING}&{made}"))
    rows = csv_of(client, f"{PAGE}stuck.csv?status={PROCESSING}")
    assert [row["organization_id"] for row in rows] == [str(mine)] * 3
    assert int(rows[0]["in_status_seconds"]) >= 120 * 60


def test_a_records_own_address_is_linked_where_it_is_safe_to_click(files: Files, use_records: UseRecords) -> None:
    use_records(files.source(title="", link_column="fileName"))
    add(files, "processing", 150, 120, title="https://files.example.com/seven")
    add(files, "processing", 151, 121, title="javascript:alert(1)")
    page = client_of(Role.VIEWER).get(f"{PAGE}stuck/").content.decode()
    assert page.count('href="https://files.example.com/seven"') == 1
    assert page.count("https://app.example.com/files/") == 1  # the other one falls back on the estate's template
    assert "javascript:" not in page


def test_pages_of_the_stuck_list_hold_all_of_it_once(files: Files) -> None:
    add(files, "processing", 150, 120, count=7)
    client = client_of(Role.VIEWER)
    seen: list[str] = []
    address = f"{PAGE}stuck/?size=3"
    while address:
        page = text_of(client, address)
        seen += re.findall(r"app\.example\.com/files/(\d+)", page)
        following = re.search(r'rel="next" href="([^"]+)"', page)
        address = f"{PAGE}stuck/{following[1]}" if following else ""
    assert len(seen) == len(set(seen)) == 7


@pytest.mark.parametrize("query", ["within=x", "start=yesterday", "organization=nonsense", "status=nowhere"])
def test_filters_that_cannot_be_are_refused(query: str) -> None:
    assert "field-error" in text_of(client_of(Role.VIEWER), f"{PAGE}stuck/?{query}", status=400)
    assert client_of(Role.VIEWER).get(f"{PAGE}stuck.csv?{query}").status_code == 400


def test_a_strange_cursor_is_a_bad_request() -> None:
    assert client_of(Role.VIEWER).get(f"{PAGE}stuck/?cursor=nonsense").status_code == 400


def test_an_administrator_changes_window_and_limits(files: Files) -> None:
    client = client_of(Role.ADMINISTRATOR)
    sent = {
        "older": "10m",
        "younger": "2h",
        "limit0": "",
        "limit1": "45m",
        "limit2": "6h",
        "reason": "the new converter",
    }
    assert client.post(f"{PAGE}limits/", sent).headers["Location"] == PAGE
    row = ChangedLimits.objects.get()
    assert (row.older_than, row.younger_than) == (minutes(10), minutes(120))
    assert row.limits == {PROCESSING: 2_700.0, f"{PREFIX}error": 21_600.0}
    entry = AuditEntry.objects.get(action="record_limits.changed")
    assert (entry.subject, entry.reason, entry.details["younger_than"]) == (
        "records:odd-files",
        "the new converter",
        "2h",
    )
    page = text_of(client, PAGE)
    assert 'value="10m"' in page
    assert 'value="45m"' in text_of(client, f"{PAGE}limits/")
    add(files, "processing", 100, 40)
    assert "Nothing is stuck" in plain(text_of(client, f"{PAGE}stuck/"))
    # Back to the estate's.
    assert client.post(f"{PAGE}limits/reset/", {"reason": "it was a mistake"}).status_code == 302
    assert not ChangedLimits.objects.exists()
    assert AuditEntry.objects.filter(action="record_limits.reset", reason="it was a mistake").exists()
    assert "CSV of all 1" in plain(text_of(client, f"{PAGE}stuck/"))


def test_what_is_the_estates_goes_on_following_it() -> None:
    sent = {"older": "15m", "younger": "", "limit1": "30m", "reason": "as it was"}
    client_of(Role.ADMINISTRATOR).post(f"{PAGE}limits/", sent)
    row = ChangedLimits.objects.get()
    assert (row.older_than, row.younger_than, row.limits) == (None, None, {})


@pytest.mark.parametrize(
    "sent",
    [
        {"older": "3h", "younger": "2h", "reason": "x"},
        {"older": "", "younger": "", "limit1": "soon", "reason": "x"},
        {"older": "", "younger": "", "limit1": "0s", "reason": "x"},
        {"older": "", "younger": "", "reason": ""},
    ],
)
def test_limits_that_cannot_be_change_nothing(sent: dict[str, str]) -> None:
    response = client_of(Role.ADMINISTRATOR).post(f"{PAGE}limits/", sent)
    assert response.status_code == 400
    assert b"field-error" in response.content
    assert not ChangedLimits.objects.exists()
    assert not AuditEntry.objects.filter(action__startswith="record_limits").exists()


def test_nobody_else_changes_limits() -> None:
    for role in (Role.VIEWER, Role.OPERATOR):
        client = client_of(role)
        assert client.get(f"{PAGE}limits/").status_code == 403
        assert client.post(f"{PAGE}limits/", {"older": "1m", "reason": "x"}).status_code == 403
        assert client.post(f"{PAGE}limits/reset/", {"reason": "x"}).status_code == 403
        assert "Window and limits" not in text_of(client, PAGE)


def tasks_source() -> RecordSource:
    """The source's own tasks as records."""
    source = estate.load(settings.ESTATE).source
    return RecordSource(
        "tasks",
        "Tasks",
        source.url,
        source.tasks.table,
        updated_at="updated_at",
        organization="organization_id",
        title="title",
        statuses=(RecordStatus("waiting", "waiting", Tone.WAITING, limit=60.0),),
        stuck_within=86_400.0 * 3_000,
    )


def test_stuck_tasks_lead_to_staged_organizations(
    company: Company, use_estate: EstateWriter, use_records: UseRecords
) -> None:
    use_records(tasks_source())
    organization = company.organizations()[-1]
    operator = client_of(Role.OPERATOR)
    page = text_of(operator, "/records/tasks/stuck/?size=200")
    assert 'name="selected"' in page
    assert 'name="selected"' not in text_of(client_of(Role.VIEWER), "/records/tasks/stuck/")
    waiting = "SELECT id FROM tasks WHERE organization_id = %s AND status = 'waiting' LIMIT 2"
    tasks = [str(row[0]) for row in company.in_source(waiting, organization)]
    response = operator.post("/records/tasks/stuck/stage/", {"selected": tasks})
    assert response.headers["Location"] == "/sync/staged/"
    assert [UUID(row.pk) for row in StagedOrganization.objects.all()] == [organization]
    assert StagedOrganization.objects.get().origin == "stuck: Tasks"
    assert AuditEntry.objects.get(action="organizations.staged").details["staged"] == 1
    operator.post(f"/records/tasks/stuck/stage/?organization={organization}", {"all": "yes"})
    assert StagedOrganization.objects.count() == 1
    operator.post("/records/tasks/stuck/stage/", {"all": "yes"})
    assert StagedOrganization.objects.count() > 1


@pytest.mark.parametrize("sent", [{}, {"selected": ["nonsense"]}, {"selected": [str(uuid4())]}])
def test_nothing_is_staged_for_nothing(
    use_estate: EstateWriter, use_records: UseRecords, sent: dict[str, list[str]]
) -> None:
    use_records(tasks_source())
    response = client_of(Role.OPERATOR).post("/records/tasks/stuck/stage/?status=waiting", sent)
    assert response.headers["Location"] == "/records/tasks/stuck/?status=waiting"
    assert not StagedOrganization.objects.exists()


def test_records_that_are_no_tasks_are_not_staged(files: Files) -> None:
    add(files, "processing", 150, 120, organization=uuid4())
    operator = client_of(Role.OPERATOR)
    assert 'name="selected"' not in text_of(operator, f"{PAGE}stuck/")
    operator.post(f"{PAGE}stuck/stage/", {"all": "yes"})
    assert not StagedOrganization.objects.exists()
    assert client_of(Role.VIEWER).post(f"{PAGE}stuck/stage/", {"all": "yes"}).status_code == 403


def test_changes_are_posts_only() -> None:
    client = client_of(Role.ADMINISTRATOR)
    for part in ("stuck/stage/", "limits/reset/"):
        assert client.get(PAGE + part).status_code == 405
    assert client.post(PAGE).status_code == 405
