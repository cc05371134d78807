"""Many jobs at once on the pages: ticked or all that match, asked first, answered with what was changed."""

from __future__ import annotations

import html
import re

import pytest
import redis
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from opsconsole.access import Role
from opsconsole.models import AuditEntry
from sync.models import Job, JobState, SkippedOrganization
from sync.operations import bulk
from tests.sync.jobs import make_job
from tests.web.sync_rows import HOSTILE, MOST_QUERIES, client_of

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.django_db
CSRF = re.compile(r'name="jobs" value="([\d,:]*)"')


def bound_jobs(text: str) -> str:
    found = CSRF.search(text)
    assert found
    return found[1]


def ask(client: Client, act: str, jobs: list[Job], query: str = "") -> str:
    response = client.post(f"/sync/jobs/{act}/{query}", {"selected": [str(job.pk) for job in jobs]})
    assert response.status_code == 200
    return response.content.decode()


def test_ticked_jobs_are_asked_about_and_only_then_cancelled() -> None:
    jobs = [make_job(organization_name=HOSTILE), make_job(state=JobState.RUNNING), make_job(state=JobState.DONE)]
    client = client_of(Role.OPERATOR)
    page = ask(client, "cancel", jobs, "?state=active")
    assert "Cancel 2 jobs?" in page
    assert "1 other has ended" in page
    assert HOSTILE not in page
    assert html.escape(HOSTILE) in page
    assert set(Job.objects.values_list("state", flat=True)) == {"queued", "running", "done"}
    sent = {"jobs": bound_jobs(page), "reason": "wrong customer"}
    done = client.post("/sync/jobs/cancel/?state=active", sent, follow=True)
    assert done.redirect_chain == [("/sync/jobs/?state=active", 302)]
    assert "1 waiting job cancelled, 1 running one asked to stop." in done.content.decode()
    assert AuditEntry.objects.get().reason == "wrong customer"


def test_all_that_match_are_bound_by_the_page_that_asked(queue: redis.Redis) -> None:
    jobs = [make_job(state=JobState.FAILED) for _ in range(2)]
    client = client_of(Role.OPERATOR)
    page = client.get("/sync/jobs/retry/?state=failed").content.decode()
    later = make_job(state=JobState.FAILED)
    client.post("/sync/jobs/retry/?state=failed", {"jobs": bound_jobs(page), "reason": ""})
    assert set(Job.objects.filter(state=JobState.QUEUED)) == set(jobs)
    later.refresh_from_db()
    assert later.state == JobState.FAILED


def test_what_changed_meanwhile_is_left_alone_and_said() -> None:
    jobs, client = [make_job(), make_job()], client_of(Role.OPERATOR)
    page = ask(client, "cancel", jobs)
    Job.objects.filter(pk=jobs[0].pk).update(state=JobState.DONE)
    text = client.post("/sync/jobs/cancel/", {"jobs": bound_jobs(page), "reason": "x"}, follow=True).content.decode()
    assert (
        "1 waiting job cancelled, 0 running ones asked to stop; 1 had ended, were stopping already or run anew." in text
    )


def test_skip_asks_for_kind_and_reason() -> None:
    job, client = make_job(), client_of(Role.OPERATOR)
    page = ask(client, "skip", [job])
    sent = {"jobs": bound_jobs(page), "why": "too_large", "reason": " "}
    missing = client.post("/sync/jobs/skip/", sent)
    assert (missing.status_code, SkippedOrganization.objects.count()) == (400, 0)
    assert "Say why" in missing.content.decode()
    text = client.post("/sync/jobs/skip/", sent | {"reason": "200 GB"}, follow=True).content.decode()
    assert "1 organization put on the skip list; 1 waiting job cancelled." in text
    entry = SkippedOrganization.objects.get()
    assert (entry.organization_id, entry.reason, entry.note) == (job.organization_id, "too_large", "200 GB")


def test_the_cap_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "MOST", 3)
    for _ in range(4):
        make_job()
    text = client_of(Role.OPERATOR).get("/sync/jobs/cancel/").content.decode()
    assert "Cancel 3 jobs?" in text
    assert "these are the newest 3" in text
    assert "No filter is set" in text


def test_asking_stays_within_the_budget(django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    for _ in range(30):
        make_job(state=JobState.FAILED)
    client = client_of(Role.OPERATOR)
    for act in ("cancel", "retry", "skip"):
        with django_assert_max_num_queries(MOST_QUERIES):
            client.get(f"/sync/jobs/{act}/?state=failed")


@pytest.mark.parametrize("act", ["cancel", "retry", "skip"])
def test_nothing_to_do_is_said(act: str) -> None:
    done = make_job(state=JobState.DONE, organization_id="", kind="tasks")
    client = client_of(Role.OPERATOR)
    assert "None of these jobs" in ask(client, act, [done])
    nothing = client.post(f"/sync/jobs/{act}/?state=done", follow=True)
    assert "Nothing was ticked" in nothing.content.decode()
    assert nothing.redirect_chain == [("/sync/jobs/?state=done", 302)]
    assert client.get(f"/sync/jobs/{act}/?state=odd").status_code == 400


@pytest.mark.parametrize("jobs", ["", "1,x", "1" * 30, "²", ",".join(["1"] * 1_001), "-1"])
def test_a_list_of_jobs_that_is_none_is_refused(jobs: str) -> None:
    response = client_of(Role.OPERATOR).post("/sync/jobs/cancel/", {"jobs": jobs, "reason": "x"})
    assert response.status_code == 400
    assert "nothing was changed" in response.content.decode().lower()


def test_viewers_tick_nothing() -> None:
    make_job()
    client = client_of(Role.VIEWER)
    assert "data-select" not in client.get("/sync/jobs/").content.decode()
    for act in ("cancel", "retry", "skip"):
        assert client.get(f"/sync/jobs/{act}/").status_code == 403
        assert client.post(f"/sync/jobs/{act}/", {"selected": "1"}).status_code == 403
    assert "data-select" in client_of(Role.OPERATOR).get("/sync/jobs/").content.decode()
