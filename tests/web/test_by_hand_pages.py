"""The pages of syncing by hand and of ids: previews, what is queued, what is kept of bad input."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from uuid import uuid4

import pytest
import redis
from django.core.files.uploadedfile import SimpleUploadedFile
from pytest_django import DjangoAssertNumQueries

from opsconsole.access import Role
from opsconsole.models import AuditEntry
from sync.models import BatchPlan, Job, JobKind, SkippedOrganization, StagedOrganization
from tests.company import Company, EstateWriter
from tests.sync.jobs import make_job
from tests.web.sync_rows import HOSTILE, MOST_QUERIES, client_of

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.django_db

WINDOW = {"from": "2001-05-01 12:00:00", "to": "2001-05-01 13:00:00"}
INSIDE = datetime(2001, 5, 1, 12, 5, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _estate(use_estate: EstateWriter, queue: redis.Redis) -> None:
    """Every page of this file reads the test's own company."""


def lose(company: Company, count: int, title: str = "Lost") -> list[str]:
    """Tasks of the largest organization that the index has not heard of."""
    tasks = company.tasks(company.organizations()[0])[:count]
    statement = "UPDATE tasks SET title = %s, version = version + 1, updated_at = %s WHERE id = ANY(%s)"
    company.in_source(statement, title, INSIDE, tasks)
    return [str(task) for task in tasks]


def test_tasks_are_compared_then_synced_as_one_job(company: Company) -> None:
    tasks, unknown = lose(company, 2, HOSTILE), str(uuid4())
    client = client_of(Role.OPERATOR)
    page = client.post("/sync/by-hand/tasks/", {"ids": f"s-{tasks[0]}, {tasks[1]} {unknown}"})
    text = page.content.decode()
    assert page.status_code == 200
    assert "1 known to neither source nor index" in text
    assert unknown in text
    assert escape(HOSTILE) in text
    assert HOSTILE not in text
    assert "Sync these 2 tasks" in text
    assert not Job.objects.exists(), "a preview queues nothing"
    sent = {"ids": "\n".join(tasks), "reason": "a customer asked"}
    queued = client.post("/sync/by-hand/tasks/sync/", sent)
    job = Job.objects.get()
    assert (queued.status_code, queued.headers["Location"]) == (302, f"/sync/jobs/{job.pk}/")
    assert (job.kind, job.mode, job.task_ids, job.state) == (JobKind.TASKS, "sync", tasks, "queued")
    assert AuditEntry.objects.get(action="job.created").reason == "a customer asked"
    again = client.post("/sync/by-hand/tasks/sync/", sent)
    assert again.status_code == 400
    assert f"Job {job.pk}, queued, has exactly these tasks already." in again.content.decode()
    assert Job.objects.count() == 1


def test_bad_ids_are_kept_and_said(company: Company) -> None:
    client = client_of(Role.OPERATOR)
    for typed, said in (("foo <b>", "is no UUID"), ("", "Give at least one id.")):
        page = client.post("/sync/by-hand/tasks/", {"ids": typed})
        assert page.status_code == 400
        assert said in page.content.decode()
        assert escape(typed) in page.content.decode()
    tasks = lose(company, 1)
    without = client.post("/sync/by-hand/tasks/sync/", {"ids": tasks[0], "reason": ""})
    assert without.status_code == 400
    assert "Say why" in without.content.decode()
    assert "Sync this task" in without.content.decode(), "the preview is there again"
    assert not Job.objects.exists()


def test_a_query_on_the_index_is_in_the_address(company: Company) -> None:
    client = client_of(Role.VIEWER)
    text = client.get("/sync/by-hand/?way=query&status=waiting&limit=3").content.decode()
    assert text.count('data-label="Task"') == 3
    assert "Sync these" not in text, "a viewer starts nothing"
    bad = client.get("/sync/by-hand/?way=query&status=waiting&limit=1001")
    assert bad.status_code == 400
    assert 'value="1001"' in bad.content.decode()


def test_a_window_is_filled_in_compared_and_queued_once(company: Company) -> None:
    lose(company, 3)
    organization = str(company.organizations()[0])
    client = client_of(Role.OPERATOR)
    half = client.get(f"/sync/by-hand/?organization={organization}").content.decode()
    assert f'value="{organization}"' in half
    assert "What both sides have now" not in half
    page = client.get("/sync/by-hand/", {"organization": f"s-{organization}", **WINDOW})
    assert page.content.decode().count('data-label="Task"') == 3
    sent = {"organization": f"s-{organization}", **WINDOW, "mode": "sync", "reason": "the gap"}
    assert client.post("/sync/by-hand/window/sync/", sent | {"reason": ""}).status_code == 400
    client.post("/sync/by-hand/window/sync/", sent)
    job = Job.objects.get()
    assert (job.kind, job.mode, job.organization_id, job.window_from) == (
        "window",
        "sync",
        organization,
        datetime(2001, 5, 1, 12, tzinfo=UTC),
    )
    again = client.post("/sync/by-hand/window/sync/", sent | {"mode": "report"})
    assert again.status_code == 400
    assert "one at a time is allowed" in again.content.decode()
    assert Job.objects.count() == 1


def test_a_bad_window_is_said_in_place() -> None:
    client = client_of(Role.OPERATOR)
    for window, said in (
        ({"from": "yesterday", "to": "2001-05-01"}, "is no time"),
        ({"from": "2001-05-02", "to": "2001-05-01"}, "the window would be empty"),
    ):
        page = client.get("/sync/by-hand/", {"organization": str(uuid4()), **window})
        assert page.status_code == 400
        assert said in page.content.decode()
    unknown = client.get("/sync/by-hand/", {"organization": str(uuid4()), **WINDOW})
    assert "Not known to the source" in unknown.content.decode()


def test_a_window_over_the_skip_list_or_a_list_goes_to_its_plan(company: Company) -> None:
    one, other = (str(key) for key in company.organizations()[:2])
    client = client_of(Role.OPERATOR)
    sent = {"which": "skipped", "ids": "", **WINDOW, "mode": "sync"}
    empty = client.post("/sync/by-hand/windows/", sent)
    assert empty.status_code == 400
    assert "The skip list is empty" in empty.content.decode()
    SkippedOrganization.objects.create(organization_id=one, reason="looped", skipped_by="tests")
    planned = client.post("/sync/by-hand/windows/", sent)
    plan = BatchPlan.objects.get()
    assert planned.headers["Location"] == f"/sync/batches/plans/{plan.pk}/"
    assert plan.organizations == [one]
    start = {"hash": plan.hash, "reason": "the gap"}
    client.post(f"/sync/batches/plans/{plan.pk}/", start)
    client.post(f"/sync/batches/plans/{plan.pk}/", start)
    assert [(job.kind, job.organization_id) for job in Job.objects.all()] == [("window", one)]
    client.post("/sync/by-hand/windows/", sent | {"which": "listed", "ids": f"s-{other}"})
    assert BatchPlan.objects.latest("pk").organizations == [other]
    nothing = client.post("/sync/by-hand/windows/", sent | {"which": "listed"})
    assert "Give at least one organization id." in nothing.content.decode()


def test_ids_handed_over_fill_the_form_of_a_window(company: Company) -> None:
    client = client_of(Role.OPERATOR)
    text = client.post("/sync/by-hand/windows/", {"ids": "s-1\ns-2"}).content.decode()
    assert "s-1\ns-2</textarea>" in text
    assert not BatchPlan.objects.exists()


def test_ids_of_any_shape_are_answered_and_given_back(company: Company) -> None:
    one, other = (str(key) for key in company.organizations()[:2])
    unknown = str(uuid4())
    client = client_of(Role.OPERATOR)
    sent = {"of": "organizations", "ids": f"s-{one}\n'{other}', {one}\nfoo&b\n{unknown}", "to": "sql"}
    page = client.post("/sync/ids/", sent)
    text = page.content.decode()
    assert page.status_code == 200
    assert "2 valid; 1 duplicate removed; 1 unknown in the source; 1 malformed. Read as a list." in text
    assert escape(f"('{one}', '{other}')") in text
    assert "foo&amp;b" in text
    assert f"s-{unknown}" in text
    assert "Stage these" in text
    staged = client.post("/sync/staged/add/", {"of": "organizations", "to": "sql", "ids": f"('{one}', '{other}')"})
    assert staged.status_code == 302
    assert StagedOrganization.objects.count() == 2


def test_a_file_of_ids_stands_in_the_form_and_can_be_downloaded(company: Company) -> None:
    one = str(company.organizations()[0])
    client = client_of(Role.VIEWER)
    file = SimpleUploadedFile("list.csv", f"name;Org ID\nAcme;s-{one}\n".encode("utf-16"))
    text = client.post("/sync/ids/", {"of": "organizations", "to": "prefixed", "file": file}).content.decode()
    assert "1 valid. Read as CSV with a header" in text
    assert f"Acme;s-{one}" in text, "what was in the file can be put right"
    assert "Stage these" not in text
    assert "Sync these by window" not in text
    given = client.post("/sync/ids/list/", {"of": "organizations", "to": "csv", "ids": f"s-{one}"})
    assert given.headers["Content-Disposition"] == 'attachment; filename="organizations-csv.csv"'
    assert given.getvalue().decode() == f"organization_id\ns-{one}\n"
    assert client.post("/sync/ids/list/", {"of": "x", "to": "csv", "ids": one}).status_code == 400


def test_a_column_is_asked_for_where_it_cannot_be_seen(company: Company) -> None:
    one = str(company.organizations()[0])
    sent = {"of": "organizations", "to": "bare", "ids": f"left,right\n{one},{one}\n"}
    client = client_of(Role.VIEWER)
    asked = client.post("/sync/ids/", sent)
    assert asked.status_code == 400
    assert "Which column has the ids" in asked.content.decode()
    assert "1 valid" in client.post("/sync/ids/", sent | {"column": "right"}).content.decode()
    for typed in ("", "  \n"):
        assert client.post("/sync/ids/", {"of": "organizations", "to": "bare", "ids": typed}).status_code == 400


def test_a_hundred_thousand_ids(company: Company) -> None:
    ids = "\n".join(str(uuid4()) for _ in range(100_000))
    client = client_of(Role.VIEWER)
    text = client.post("/sync/ids/", {"of": "tasks", "to": "bare", "ids": ids}).content.decode()
    assert "100,000 unknown in the source" in text
    assert "and 99,800 more" in text
    more = client.post("/sync/ids/", {"of": "tasks", "to": "bare", "ids": f"{ids}\n{uuid4()}"})
    assert more.status_code == 400
    assert "allowed are 100,000 at once" in more.content.decode()


def test_the_source_being_away_is_said_above_the_form(
    company: Company, use_estate: EstateWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = lose(company, 1)[0]
    monkeypatch.setenv("SOURCE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nowhere")
    use_estate()
    for address, sent in (("by-hand/tasks", {"ids": task}), ("ids", {"of": "tasks", "to": "bare", "ids": task})):
        page = client_of(Role.OPERATOR).post(f"/sync/{address}/", sent)
        assert page.status_code == 400
        assert 'role="alert"' in page.content.decode()
        assert task in page.content.decode()


def test_query_budget(company: Company, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    tasks = lose(company, 50)
    organization = company.organizations()[0]
    client = client_of(Role.OPERATOR)
    for address in (
        *("by-hand/", "by-hand/?way=windows", "ids/", "by-hand/?way=query&status=waiting&limit=100"),
        f"by-hand/?organization={organization}&from=2001-05-01&to=2001-05-02",
    ):
        with django_assert_max_num_queries(MOST_QUERIES):
            assert client.get(f"/sync/{address}").status_code == 200
    with django_assert_max_num_queries(MOST_QUERIES):
        client.post("/sync/by-hand/tasks/", {"ids": "\n".join(tasks)})
    with django_assert_max_num_queries(MOST_QUERIES):
        client.post("/sync/ids/", {"of": "tasks", "to": "bare", "ids": "\n".join(tasks)})


def test_methods_and_permissions() -> None:
    make_job()
    viewer, operator = client_of(Role.VIEWER), client_of(Role.OPERATOR)
    for address in ("by-hand/tasks/", "by-hand/tasks/sync/", "by-hand/window/sync/", "by-hand/windows/", "ids/list/"):
        assert operator.get(f"/sync/{address}").status_code == 405
    for address in ("by-hand/tasks/sync/", "by-hand/window/sync/", "by-hand/windows/"):
        assert viewer.post(f"/sync/{address}", {"ids": "x"}).status_code == 403
    for address in ("by-hand/", "by-hand/?way=nonsense", "by-hand/?way=windows", "ids/"):
        assert viewer.get(f"/sync/{address}").status_code == 200
    assert operator.post("/sync/by-hand/").status_code == 405
