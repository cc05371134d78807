"""The pages on affected organizations: query, run, result, exports, why, saved queries."""

from __future__ import annotations

import csv
import io
import itertools
import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from opsconsole.access import Role
from sync.affected_form import AffectedForm, Preset
from sync.models import AffectedRow, QueryRun, RunState, SavedQuery, SkippedOrganization, StagedOrganization
from tests.affected import HOUR, START, hit_three, join, make_slow, touch
from tests.company import Company
from tests.sync.jobs import make_job
from tests.web.test_routes import person

pytest_plugins = ["tests.fixtures_sync"]

_numbers = itertools.count(1)
BUDGET = 12
WINDOW = {"from": "2031-05-01 12:00:00", "to": "2031-05-01 13:00:00"}
WINDOW_LISTS = {name: [value] for name, value in WINDOW.items()}
REST = "0000-4000-8000-000000000000"
HOSTILE = "=HYPERLINK(\"http://x\")<script>alert('1')</script>"


def logged_in(role: Role) -> Client:
    client = Client()
    client.force_login(person(f"{role.value}-{next(_numbers)}-{timezone.now().timestamp()}", role))
    return client


@pytest.fixture
def hit(company: Company, use_estate: object, committed: None) -> list[UUID]:
    organizations = hit_three(company)
    company.in_source("UPDATE organizations SET name = %s WHERE id = %s", HOSTILE, organizations[0])
    return organizations


def text_of(response: Any) -> str:
    content = b"".join(response.streaming_content) if response.streaming else response.content
    return str(content.decode())


def start(client: Client, **parameters: Any) -> QueryRun:
    response = client.post("/sync/affected/run/", WINDOW | parameters)
    assert response.status_code == 302, re.findall(r"field-error.*?</ul>", text_of(response))
    return QueryRun.objects.get(pk=int(response["Location"].rstrip("/").rpartition("/")[2]))


def finished(client: Client, **parameters: Any) -> QueryRun:
    return join(start(client, **parameters))


def counted(client: Client, address: str) -> Any:
    """The page, within the budget of queries."""
    client.get(address)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        response = client.get(address)
    assert len(queries) <= BUDGET, [query["sql"][:120] for query in queries]
    return response


def test_the_form_is_filled_from_the_address(hit: list[UUID]) -> None:
    client = logged_in(Role.VIEWER)
    page = text_of(
        counted(
            client,
            "/sync/affected/?from=2031-05-01+12:00:00&to=2031-05-01+13:00:00&status=odd&min=4&exclude=staged",
        )
    )
    assert 'value="2031-05-01 12:00:00"' in page
    assert re.search(r'value="odd"[^>]*checked', page)
    assert re.search(r'value="staged"[^>]*checked', page)
    assert 'value="4"' in page
    assert not QueryRun.objects.exists(), "looking runs nothing"


@pytest.mark.parametrize(
    ("query", "field", "said"),
    [
        ("from=yesterday&to=2031-05-01", "from", "is no time"),
        ("from=2031-05-01", "to", "To is missing"),
        ("from=2031-05-02&to=2031-05-01", "to", "To is not after From"),
        ("window=6h&min=0", "min", "greater than or equal to 1"),
        ("window=6h&min=%D9%A1%00", "min", "Enter a whole number"),
        ("window=6h&checked_since=never", "checked_since", "is no time"),
        ("window=6h&without=nonsense", "without", "nonsense"),
        ("window=6h&exclude=all", "exclude", "not one of the available"),
        ("window=6h&status=a%00b", "status", "all of them visible"),
        ("window=6h&other_status=a%00b", "other_status", "Null characters"),
        ("window=9h", "window", "not one of the available"),
        ("from=0001-01-01T00:00:00%2B14:00&to=2031-05-01", "from", "outside of what a clock"),
    ],
)
def test_a_mistake_in_the_address_is_said_at_its_field(hit: list[UUID], query: str, field: str, said: str) -> None:
    client = logged_in(Role.VIEWER)
    response = client.get(f"/sync/affected/?{query}")
    assert response.status_code == 400
    assert re.search(rf'id="id_{field}_error">.*?{said}', text_of(response), re.DOTALL)
    assert not QueryRun.objects.exists()


def test_a_run_is_a_post(hit: list[UUID]) -> None:
    client = logged_in(Role.VIEWER)
    assert client.get("/sync/affected/run/").status_code == 405
    assert client.post("/sync/affected/run/", {}).status_code == 400
    assert not QueryRun.objects.exists()


def test_the_result_shows_each_organization_and_nothing_hostile(hit: list[UUID]) -> None:
    client = logged_in(Role.OPERATOR)
    StagedOrganization.objects.create(organization_id=str(hit[0]), staged_by="x")
    SkippedOrganization.objects.create(organization_id=str(hit[1]), reason="looped", skipped_by="x")
    make_job(organization_id=str(hit[2]))
    run = finished(client)
    page = text_of(counted(client, f"/sync/affected/runs/{run.pk}/"))
    assert [page.count(f"s-{organization}") > 0 for organization in hit] == [True] * 3
    assert "<script>alert" not in page
    for badge in ("Staged", "Skipped", "Active"):
        assert f"{badge}</span>" in page
    assert "3 in all" in page


@pytest.mark.parametrize(
    "sort", ["organization", "updated", "completed", "first_update", "last_update", "checked", "found"]
)
@pytest.mark.parametrize("way", ["", "-"])
def test_every_sort_walks_all_rows_once(hit: list[UUID], sort: str, way: str) -> None:
    client = logged_in(Role.VIEWER)
    run = finished(client)
    address: str | None = f"/sync/affected/runs/{run.pk}/?sort={way}{sort}&size=1"
    seen: list[str] = []
    while address:
        page = text_of(counted(client, address))
        seen += re.findall(r"/why/([0-9a-f-]{36})/", page)
        found = re.search(r'rel="next" href="([^"]*)"', page)
        address = f"/sync/affected/runs/{run.pk}/{found[1].replace('&amp;', '&')}" if found else None
    assert sorted(seen) == sorted(str(one) for one in hit)


def test_every_row_of_a_page_is_on_it(hit: list[UUID]) -> None:
    client = logged_in(Role.VIEWER)
    run = finished(client)
    AffectedRow.objects.bulk_create(
        AffectedRow(
            run=run, organization_id=f"{n:08d}-{REST}", updated=1, completed=0, first_update=START, last_update=START
        )
        for n in range(60)
    )
    first = text_of(counted(client, f"/sync/affected/runs/{run.pk}/?page=2&per_page=x"))
    assert first.count("/why/") == 50
    assert 'rel="next"' in first
    assert text_of(counted(client, f"/sync/affected/runs/{run.pk}/?size=200")).count("/why/") == 63


def test_what_is_counted_is_what_is_exported(hit: list[UUID]) -> None:
    client = logged_in(Role.VIEWER)
    rows = [{"organization_id": f"{number:08d}-{REST}", "name": f"n{number}"} for number in range(4500)]
    run = finished(client)
    AffectedRow.objects.bulk_create(
        AffectedRow(run=run, updated=1, completed=0, first_update=START, last_update=START, **row) for row in rows
    )
    QueryRun.objects.filter(pk=run.pk).update(organizations=4503)
    table = list(csv.reader(io.StringIO(text_of(client.get(f"/sync/affected/runs/{run.pk}/organizations.csv")))))
    assert len(table) == 4504
    assert len({row[0] for row in table}) == 4504
    ids = text_of(client.get(f"/sync/affected/runs/{run.pk}/ids.txt?to=bare")).split()
    assert sorted(f"s-{one}" for one in ids) == sorted(row[0] for row in table[1:])
    prefixed = text_of(client.get(f"/sync/affected/runs/{run.pk}/ids.txt")).strip().split(",")
    assert sorted(prefixed) == sorted(row[0] for row in table[1:])


def test_no_cell_of_the_csv_is_a_formula(hit: list[UUID]) -> None:
    client = logged_in(Role.VIEWER)
    run = finished(client)
    table = list(csv.reader(io.StringIO(text_of(client.get(f"/sync/affected/runs/{run.pk}/organizations.csv")))))
    assert table[1][:4] == [f"s-{hit[0]}", f"'{HOSTILE}", "3", "0"]
    assert table[1][4] == "2031-05-01T12:00:00.000Z"
    bad = client.get(f"/sync/affected/runs/{run.pk}/ids.txt?to=pickle")
    assert (bad.status_code, "allowed are bare" in text_of(bad)) == (400, True)


def test_why_shows_the_tasks_that_matched(company: Company, hit: list[UUID]) -> None:
    client = logged_in(Role.VIEWER)
    touch(company, hit[0], 4, status="completed")
    run = finished(client, status=["waiting"])
    page = text_of(counted(client, f"/sync/affected/runs/{run.pk}/why/{hit[0]}/"))
    tasks = company.tasks(hit[0])
    assert [str(task) in page for task in tasks[:4]] == [False, True, True, False]
    assert client.get(f"/sync/affected/runs/{run.pk}/why/{tasks[0]}/").status_code == 404


def test_staging_from_the_page(hit: list[UUID]) -> None:
    operator, viewer = logged_in(Role.OPERATOR), logged_in(Role.VIEWER)
    run = finished(viewer)
    address = f"/sync/affected/runs/{run.pk}/stage/"
    assert viewer.post(address, {"all": "yes"}).status_code == 403
    assert "Stage all" not in text_of(viewer.get(f"/sync/affected/runs/{run.pk}/"))
    assert "Nothing was ticked" in text_of(operator.post(address, follow=True))
    assert "1 staged" in text_of(operator.post(address, {"selected": [str(hit[1])]}, follow=True))
    assert "2 staged; 1 were staged already" in text_of(operator.post(address, {"all": "yes"}, follow=True))
    assert "0 staged; 3 were staged already" in text_of(operator.post(address, {"all": "yes"}, follow=True))
    assert StagedOrganization.objects.filter(query_run=run).count() == 3


def test_a_running_query_is_live_and_can_be_cancelled(hit: list[UUID]) -> None:
    make_slow()
    viewer, other, operator = logged_in(Role.VIEWER), logged_in(Role.VIEWER), logged_in(Role.OPERATOR)
    run = start(viewer, **{"from": "2001-01-01", "to": "2031-05-01"})
    page = text_of(counted(viewer, f"/sync/affected/runs/{run.pk}/"))
    assert 'data-live="1"' in page
    assert "Cancel query" in page
    assert "Cancel query" not in text_of(other.get(f"/sync/affected/runs/{run.pk}/live/"))
    assert other.post(f"/sync/affected/runs/{run.pk}/cancel/").status_code == 403
    assert operator.get(f"/sync/affected/runs/{run.pk}/cancel/").status_code == 405
    assert operator.post(f"/sync/affected/runs/{run.pk}/cancel/").status_code == 302
    assert join(run).status is RunState.CANCELLED
    page = text_of(viewer.get(f"/sync/affected/runs/{run.pk}/live/"))
    assert "data-live" not in page
    assert "Cancelled</span>" in page
    assert "not running any more" in text_of(operator.post(f"/sync/affected/runs/{run.pk}/cancel/", follow=True))


def test_a_cut_off_result_says_so(hit: list[UUID]) -> None:
    make_slow("200ms")
    client = logged_in(Role.VIEWER)
    run = finished(client, **{"from": "2001-01-01", "to": "2031-05-01"})
    page = text_of(client.get(f"/sync/affected/runs/{run.pk}/"))
    assert "Cut off after 0.2 s" in page
    assert "not complete" in page
    export = client.get(f"/sync/affected/runs/{run.pk}/organizations.csv")
    assert "cut_off.csv" in export["Content-Disposition"]


def test_a_run_is_a_bookmark_of_its_query(hit: list[UUID]) -> None:
    client = logged_in(Role.VIEWER)
    run = finished(client, without=f"'s-{hit[0]}'", exclude=["staged"], min="1")
    assert run.parameters == WINDOW_LISTS | {"exclude": ["staged"], "without": [f"'s-{hit[0]}'"]}
    page = text_of(client.get(f"/sync/affected/runs/{run.pk}/"))
    found = re.search(r'data-copy="(http://testserver/sync/affected/\?[^"]*)"', page)
    assert found
    again = client.get(found[1].replace("&amp;", "&"))
    assert again.status_code == 200
    assert AffectedForm.of(run.parameters).is_valid()
    assert f"s-{hit[0]}" in text_of(again)
    assert client.post(f"/sync/affected/runs/{run.pk}/again/").status_code == 302
    newest = join(QueryRun.objects.latest("pk"))
    assert (newest.parameters, newest.organizations) == (run.parameters, 2)


def test_a_list_too_long_for_an_address_is_named_by_its_run(hit: list[UUID]) -> None:
    client = logged_in(Role.VIEWER)
    run = finished(client, without="\n".join(f"{n:08d}-{REST}" for n in range(500)))
    page = text_of(client.get(f"/sync/affected/runs/{run.pk}/"))
    assert f"/sync/affected/?like={run.pk}" in page
    assert "00000499-0000" in text_of(client.get(f"/sync/affected/?like={run.pk}"))
    assert client.get("/sync/affected/?like=99999999").status_code == 404


def test_a_preset_moves_with_the_clock(hit: list[UUID]) -> None:
    now = timezone.now()
    form = AffectedForm.of({"window": ["6h"]})
    assert form.is_valid()
    window = form.query(now).window
    assert window.end - window.start == timedelta(hours=6)
    assert form.query(now + timedelta(days=1)).window.end - window.end == timedelta(days=1)
    yesterday = Preset.YESTERDAY.window(START)
    assert (yesterday.end, yesterday.end - yesterday.start) == (START.replace(hour=0), timedelta(days=1))
    assert form.parameters() == {"window": ["6h"]}


def test_saved_queries_private_and_shared(hit: list[UUID]) -> None:
    operator, viewer = logged_in(Role.OPERATOR), logged_in(Role.VIEWER)
    saved = {"window": "6h", "name": "Night <b>"}
    assert viewer.post("/sync/affected/save/", saved | {"shared": "on"}).status_code == 403
    assert viewer.post("/sync/affected/save/", saved).status_code == 302
    assert viewer.post("/sync/affected/save/", saved).status_code == 400
    assert viewer.post("/sync/affected/save/", {"window": "6h"}).status_code == 400
    assert operator.post("/sync/affected/save/", saved | {"name": "For all", "shared": "on"}).status_code == 302
    page = text_of(counted(viewer, "/sync/affected/"))
    assert "Night &lt;b&gt;" in page
    assert "For all" in page
    assert "Night" not in text_of(operator.get("/sync/affected/"))
    private, shared = SavedQuery.objects.order_by("pk")
    assert operator.post(f"/sync/affected/saved/{private.pk}/run/").status_code == 404
    assert viewer.post(f"/sync/affected/saved/{shared.pk}/run/").status_code == 302
    run = join(QueryRun.objects.latest("pk"))
    assert (run.saved_query, run.parameters) == (shared, {"window": ["6h"]})
    assert f"/sync/affected/runs/{run.pk}/" in text_of(viewer.get("/sync/affected/"))
    assert "Only the person" in text_of(viewer.post(f"/sync/affected/saved/{shared.pk}/delete/", follow=True))
    assert "is deleted" in text_of(viewer.post(f"/sync/affected/saved/{private.pk}/delete/", follow=True))


def test_the_list_of_runs_and_the_estimate(hit: list[UUID]) -> None:
    client = logged_in(Role.VIEWER)
    run = finished(client)
    assert f"/sync/affected/runs/{run.pk}/" in text_of(counted(client, "/sync/affected/runs/"))
    estimate = text_of(counted(client, f"/sync/affected/runs/{run.pk}/estimate/"))
    assert "to scan in 3 organizations" in estimate
    assert "no rate is known" in estimate
    part = client.get(f"/sync/affected/runs/{run.pk}/estimate/", headers={"HX-Request": "true"})
    assert "<html" not in text_of(part)


def test_rows_that_are_gone_say_so(hit: list[UUID]) -> None:
    client = logged_in(Role.VIEWER)
    run = finished(client)
    QueryRun.objects.filter(pk=run.pk).update(rows_dropped_at=timezone.now())
    assert "The rows are gone" in text_of(client.get(f"/sync/affected/runs/{run.pk}/"))
    assert client.get(f"/sync/affected/runs/{run.pk}/organizations.csv").status_code == 400
    assert HOUR.start == run.window_from
