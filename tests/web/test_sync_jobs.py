"""The list of jobs, one job's page and its live part, its drift and log, cancel and retry."""

from __future__ import annotations

from uuid import uuid4

import pytest
import redis
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from opsconsole.access import Role
from opsconsole.models import AuditEntry
from sync.models import Job, JobState
from tests.sync.jobs import make_job
from tests.web.sync_rows import HOSTILE, MOST_QUERIES, client_of, make_batch, make_drift, make_full_job

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.django_db
ESCAPED = "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp; Sons"


def test_list_shows_jobs_newest_first() -> None:
    first, second = make_job(organization_name=HOSTILE), make_job(kind="tasks", organization_id="", task_ids=["a", "b"])
    text = client_of(Role.VIEWER).get("/sync/jobs/").content.decode()
    assert text.index(f'href="/sync/jobs/{second.pk}/"') < text.index(f'href="/sync/jobs/{first.pk}/"')
    assert f"s-{first.organization_id}" in text
    assert "2 tasks by hand" in text
    assert ESCAPED in text
    assert HOSTILE not in text


def test_empty_list_says_what_to_do() -> None:
    text = client_of(Role.VIEWER).get("/sync/jobs/").content.decode()
    assert "No job has run yet" in text
    assert "/sync/staged/" in text


@pytest.mark.parametrize("shape", ["{}", "s-{}", "'s-{}'", '"{}"', " {} ,"])
def test_list_by_organization_in_any_shape(shape: str) -> None:
    wanted, other = make_job(), make_job()
    response = client_of(Role.VIEWER).get("/sync/jobs/", {"organization": shape.format(wanted.organization_id)})
    text = response.content.decode()
    assert f'"/sync/jobs/{wanted.pk}/"' in text
    assert f'"/sync/jobs/{other.pk}/"' not in text


def test_list_by_state_kind_and_batch() -> None:
    batch = make_batch()
    mine = make_job(batch=batch, state=JobState.FAILED, error="The index did not answer.")
    others = [make_job(state=JobState.FAILED), make_job(batch=batch), make_job(batch=batch, kind="tasks")]
    sent = {"batch": str(batch.pk), "state": "failed", "kind": "organization"}
    text = client_of(Role.VIEWER).get("/sync/jobs/", sent).content.decode()
    assert f'"/sync/jobs/{mine.pk}/"' in text
    assert "The index did not answer." in text
    assert not [job for job in others if f'"/sync/jobs/{job.pk}/"' in text]


def test_active_is_a_state_to_ask_for() -> None:
    running, done = make_job(state=JobState.RUNNING), make_job(state=JobState.DONE)
    text = client_of(Role.VIEWER).get("/sync/jobs/", {"state": "active"}).content.decode()
    assert f'"/sync/jobs/{running.pk}/"' in text
    assert f'"/sync/jobs/{done.pk}/"' not in text


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"organization": "nonsense"}, "no UUID"),
        ({"organization": f"{uuid4()} {uuid4()}"}, "One organization at a time"),
        ({"organization": "a\x00b"}, "Null characters"),
        ({"state": "odd"}, "not one of the available choices"),
        ({"batch": "twelve"}, "whole number"),
        ({"batch": "9" * 30}, "less than or equal"),
        ({"cursor": "garbage"}, "cannot be read"),
        ({"size": "0"}, "page size"),
        ({"sort": "worker"}, "cannot be sorted"),
    ],
)
def test_a_wrong_filter_is_400_with_the_reason_and_what_was_typed(sent: dict[str, str], said: str) -> None:
    response = client_of(Role.VIEWER).get("/sync/jobs/", sent)
    assert response.status_code == 400
    assert said in response.content.decode()
    if "organization" in sent and "\x00" not in sent["organization"]:
        assert f'value="{sent["organization"]}"' in response.content.decode()


def test_pages_of_the_list_have_a_query_budget(django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    client, batch = client_of(Role.OPERATOR), make_batch()
    for _ in range(60):
        make_job(batch=batch)
    full = make_full_job(batch=batch)
    for address in (
        "/sync/jobs/",
        f"/sync/jobs/?batch={batch.pk}&state=queued",
        f"/sync/jobs/{full.pk}/",
        f"/sync/jobs/{full.pk}/live/",
        f"/sync/jobs/{full.pk}/drift/",
        f"/sync/jobs/{full.pk}/cancel/",
    ):
        with django_assert_max_num_queries(MOST_QUERIES):
            assert client.get(address).status_code == 200


def test_next_page_of_the_list_has_the_rest() -> None:
    jobs = [make_job() for _ in range(5)]
    client = client_of(Role.VIEWER)
    first = client.get("/sync/jobs/?size=3").content.decode()
    cursor = first.split("cursor=")[1].split('"')[0].split("&")[0]
    second = client.get("/sync/jobs/", {"size": "3", "cursor": cursor}).content.decode()
    shown = [[job for job in jobs if f'"/sync/jobs/{job.pk}/"' in text] for text in (first, second)]
    assert shown == [jobs[2:], jobs[:2]]


def test_job_page_says_what_is_known() -> None:
    job = make_full_job(state=JobState.RUNNING, started_at=timezone.now(), heartbeat_at=timezone.now())
    text = client_of(Role.OPERATOR).get(f"/sync/jobs/{job.pk}/").content.decode()
    for said in ("60 of 100", "2 stale, 1 missing, 1 orphan", "worker-2", "4711", "Line 249", "3 : 1234", "completed"):
        assert said in text
    assert "Line 49<" not in text, "the last 200 lines only"
    assert 'data-live="2"' in text
    assert f"/sync/jobs/{job.pk}/cancel/" in text
    assert f"/sync/jobs/{job.pk}/retry/" not in text
    assert HOSTILE not in text


@pytest.mark.parametrize("state", list(JobState))
def test_job_page_in_every_state(state: JobState) -> None:
    job = make_job(state=state, error="It broke." if state in (JobState.FAILED, JobState.RETRYING) else "")
    text = client_of(Role.OPERATOR).get(f"/sync/jobs/{job.pk}/").content.decode()
    assert state.label in text
    assert ("data-live" in text) is not state.terminal
    assert ("Source and index agree" in text) is (state is JobState.DONE)


def test_live_part_is_the_pages_own_and_ends_with_the_job() -> None:
    job = make_full_job(state=JobState.RUNNING)
    client = client_of(Role.OPERATOR)
    page, live = (
        client.get(f"/sync/jobs/{job.pk}/{part}", headers={"Seen-State": "running"}) for part in ("", "live/")
    )
    assert live.content.decode().strip() in page.content.decode()
    Job.objects.update(state=JobState.DONE, ended_at=timezone.now())
    ended = client.get(f"/sync/jobs/{job.pk}/live/", headers={"Seen-State": "running"}).content.decode()
    assert "data-live" not in ended
    assert ended.count('hx-swap-oob="true"') == 3, "badge and actions of the header, and the count on the tab"


def test_job_of_tasks_shows_the_first_fifty() -> None:
    ids = [f"task-{number:03}" for number in range(60)]
    job = make_job(kind="tasks", organization_id="", task_ids=ids)
    text = client_of(Role.VIEWER).get(f"/sync/jobs/{job.pk}/").content.decode()
    assert "task-049" in text
    assert "task-050" not in text
    assert "10 more" in text


def test_unknown_jobs_are_not_found() -> None:
    client = client_of(Role.OPERATOR)
    for number in (0, 99, 10**30):
        for part in ("", "live/", "events.txt", "drift/", "cancel/"):
            assert client.get(f"/sync/jobs/{number}/{part}").status_code == 404
        assert client.post(f"/sync/jobs/{number}/retry/").status_code == 404


def test_log_as_text() -> None:
    job = make_full_job()
    response = client_of(Role.VIEWER).get(f"/sync/jobs/{job.pk}/events.txt")
    lines = response.getvalue().decode().splitlines()
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert f'filename="job-{job.pk}-events.txt"' in response.headers["Content-Disposition"]
    assert len(lines) == 250
    assert lines[0].endswith("attempt 1: Line 0")


def test_drift_with_both_sides_and_filters() -> None:
    job = make_full_job()
    client = client_of(Role.VIEWER)
    text = client.get(f"/sync/jobs/{job.pk}/drift/").content.decode()
    assert "<del>waiting</del>" in text
    assert "<ins>completed</ins>" in text
    assert f"<ins>{ESCAPED}</ins>" in text
    only = client.get(f"/sync/jobs/{job.pk}/drift/", {"kind": "orphan", "verification": "unresolved"}).content.decode()
    assert "Gone" in only
    assert "completed" not in only
    assert "Gone" not in client.get(f"/sync/jobs/{job.pk}/drift/", {"verification": "pending"}).content.decode()
    assert client.get(f"/sync/jobs/{job.pk}/drift/", {"kind": "odd"}).status_code == 400


def test_drift_of_other_jobs_is_not_shown() -> None:
    other = make_drift(make_job())
    text = client_of(Role.VIEWER).get(f"/sync/jobs/{make_job().pk}/drift/").content.decode()
    assert other.task_id not in text


def test_cancel_asks_for_a_reason_and_is_audited() -> None:
    job, client = make_job(), client_of(Role.OPERATOR)
    address = f"/sync/jobs/{job.pk}/cancel/"
    assert "at once" in client.get(address).content.decode()
    without = client.post(address, {"reason": " "})
    job.refresh_from_db()
    assert (without.status_code, job.state) == (400, JobState.QUEUED)
    done = client.post(address, {"reason": "wrong customer"}, follow=True)
    job.refresh_from_db()
    assert job.state == JobState.CANCELLED
    assert f"Job {job.pk} is cancelled." in done.content.decode()
    assert AuditEntry.objects.get(action="job.cancelled").reason == "wrong customer"


def test_cancelling_twice_says_so_and_keeps_the_reason() -> None:
    job, client = make_job(state=JobState.DONE), client_of(Role.OPERATOR)
    response = client.post(f"/sync/jobs/{job.pk}/cancel/", {"reason": "again"})
    assert response.status_code == 400
    assert "has ended already" in response.content.decode()
    assert 'value="again"' in response.content.decode()


def test_retry(queue: redis.Redis) -> None:
    job, client = make_job(state=JobState.FAILED, error="x", failures=4), client_of(Role.OPERATOR)
    text = client.post(f"/sync/jobs/{job.pk}/retry/", follow=True).content.decode()
    job.refresh_from_db()
    assert job.state == JobState.QUEUED
    assert "queued again" in text
    second = Job.objects.create(trace_id=uuid4(), created_by="t", state=JobState.DONE, organization_id="x")
    assert "can be retried" in client.post(f"/sync/jobs/{second.pk}/retry/", follow=True).content.decode()


@pytest.mark.parametrize(("part", "method"), [("retry/", "get"), ("", "post"), ("live/", "post"), ("drift/", "delete")])
def test_wrong_methods(part: str, method: str) -> None:
    job = make_job()
    assert getattr(client_of(Role.OPERATOR), method)(f"/sync/jobs/{job.pk}/{part}").status_code == 405


def test_a_viewer_sees_but_changes_nothing() -> None:
    job, client = make_job(state=JobState.FAILED), client_of(Role.VIEWER)
    text = client.get(f"/sync/jobs/{job.pk}/").content.decode()
    assert "/retry/" not in text
    assert client.get(f"/sync/jobs/{job.pk}/cancel/").status_code == 403
    assert client.post(f"/sync/jobs/{job.pk}/cancel/", {"reason": "x"}).status_code == 403
    assert client.post(f"/sync/jobs/{job.pk}/retry/").status_code == 403
    job.refresh_from_db()
    assert job.state == JobState.FAILED
