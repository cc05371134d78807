"""Dead letters: grouped by reason, and retried, skipped or deleted one by one or together."""

from __future__ import annotations

import re

import pytest
import redis

from opsconsole.access import Role
from opsconsole.models import AuditEntry
from sync.models import Job, JobState
from tests.sync.jobs import make_job
from tests.web.sync_rows import HOSTILE, MOST_QUERIES, client_of

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.django_db
FINGERPRINT = "0123456789abcdef"


def dead(**fields: object) -> Job:
    values = {"state": JobState.FAILED, "error": "The source is away.", "error_fingerprint": FINGERPRINT}
    return make_job(**(values | fields))


def test_the_same_reasons_are_one_line(django_assert_max_num_queries: object) -> None:
    for _ in range(3):
        dead()
    looping = dead(state=JobState.LOOPING, error=HOSTILE, error_fingerprint="f" * 16)
    make_job(state=JobState.RETRYING, error="passes", error_fingerprint="a" * 16)
    client = client_of(Role.VIEWER)
    with django_assert_max_num_queries(MOST_QUERIES):  # type: ignore[operator]
        response = client.get("/sync/jobs/dead/")
    groups = response.context["groups"].data
    assert [(group.jobs, group.latest_job) for group in groups][1] == (1, looping.pk)
    assert [group.jobs for group in groups] == [3, 1]
    assert HOSTILE not in response.content.decode()


def test_one_reason_alone() -> None:
    wanted, _ = dead(), dead(error_fingerprint="f" * 16)
    response = client_of(Role.OPERATOR).get(f"/sync/jobs/dead/?error={FINGERPRINT}")
    assert [job.pk for job in response.context["table"].data] == [wanted.pk]
    assert client_of(Role.OPERATOR).get("/sync/jobs/dead/?error=x").status_code == 400


def test_a_whole_group_is_retried(queue: redis.Redis) -> None:
    jobs, other = [dead() for _ in range(2)], dead(error_fingerprint="f" * 16)
    client = client_of(Role.OPERATOR)
    address = f"/sync/jobs/retry/?state=dead&error={FINGERPRINT}"
    bound = re.search(r'name="jobs" value="([\d,:]*)"', client.get(address).content.decode())
    assert bound
    client.post(address, {"jobs": bound[1], "reason": "the source is back"})
    assert set(Job.objects.filter(state=JobState.QUEUED)) == set(jobs)
    assert Job.objects.get(state=JobState.FAILED) == other
    assert AuditEntry.objects.get().reason == "the source is back"


def test_deleting_is_an_administrators_and_asks_for_a_reason() -> None:
    job, running = dead(), make_job(state=JobState.RUNNING)
    ticked = {"selected": [str(job.pk), str(running.pk)]}
    assert client_of(Role.OPERATOR).post("/sync/jobs/delete/", ticked).status_code == 403
    client = client_of(Role.ADMINISTRATOR)
    page = client.post("/sync/jobs/delete/", ticked).content.decode()
    assert "Delete 1 job?" in page
    assert "1 other has not ended" in page
    sent = {"jobs": f"{job.pk}:0,{running.pk}:0", "reason": " "}
    assert client.post("/sync/jobs/delete/", sent).status_code == 400
    text = client.post("/sync/jobs/delete/", sent | {"reason": "a trial"}, follow=True).content.decode()
    assert "1 job deleted; 1 left out: not ended, or changed meanwhile." in text
    assert Job.objects.get() == running


def test_deleting_a_running_one_is_refused_with_its_state() -> None:
    job = make_job(state=JobState.RUNNING)
    response = client_of(Role.ADMINISTRATOR).post("/sync/jobs/delete/", {"jobs": f"{job.pk}:0", "reason": "x"})
    assert response.status_code == 400
    assert "only a job that has ended can be deleted" in response.content.decode()
    assert Job.objects.exists()


def test_nothing_there() -> None:
    assert "No dead letters" in client_of(Role.VIEWER).get("/sync/jobs/dead/").content.decode()
