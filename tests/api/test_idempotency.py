"""The same key is the same act: asked again, at once, by a process that died, and with another body."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import redis
from django.db import connection, transaction
from django.utils import timezone

from opsconsole.access import Role
from opsconsole.api import idempotency
from opsconsole.api.models import ApiToken, IdempotentCall
from opsconsole.api.retention import remove_calls
from opsconsole.models import AuditEntry, User
from opsconsole.retention import Bounds
from sync.models import Job, JobState
from tests.api.callers import Program, problem_of, program
from tests.company import at_database
from tests.sync.jobs import claim, make_job

pytest_plugins = ["tests.fixtures_sync"]

WHY = {"reason": "no longer needed"}


@pytest.fixture
def ada(committed: None) -> Iterator[Program]:
    """With real commits: other connections see what is done."""
    yield program(Role.OPERATOR, "idempotent")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE opsconsole_auditentry DISABLE TRIGGER USER")
        cursor.execute("DELETE FROM opsconsole_auditentry")
        IdempotentCall.objects.all().delete()
        ApiToken.objects.all().delete()
        User.objects.all().delete()
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE opsconsole_auditentry ENABLE TRIGGER USER")


def cancels() -> int:
    return AuditEntry.objects.filter(action="job.cancelled").count()


def test_the_same_key_and_body_gives_the_same_answer(ada: Program) -> None:
    job = make_job()
    first = ada.post(f"jobs/{job.pk}/cancel", WHY, key="one")
    Job.objects.filter(pk=job.pk).update(scanned=77)
    again = ada.post(f"jobs/{job.pk}/cancel", WHY, key="one")
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.content == first.content
    assert again["Content-Type"] == first["Content-Type"]
    assert (again["Idempotency-Replayed"], first.get("Idempotency-Replayed")) == ("true", None)
    assert cancels() == 1


def test_a_refusal_is_an_answer_too(ada: Program) -> None:
    job = make_job(state=JobState.DONE)
    first = ada.post(f"jobs/{job.pk}/cancel", WHY, key="one")
    Job.objects.filter(pk=job.pk).update(state=JobState.QUEUED)
    again = ada.post(f"jobs/{job.pk}/cancel", WHY, key="one")
    assert "has ended already" in problem_of(first)["detail"]
    assert problem_of(again) == problem_of(first)
    assert Job.objects.get().state == JobState.QUEUED


def test_another_body_or_address_with_the_key_is_refused(ada: Program) -> None:
    job, other = make_job(), make_job()
    ada.post(f"jobs/{job.pk}/cancel", WHY, key="one")
    for refused in (
        ada.post(f"jobs/{job.pk}/cancel", {"reason": "another"}, key="one"),
        ada.post(f"jobs/{other.pk}/cancel", WHY, key="one"),
    ):
        assert (refused.status_code, problem_of(refused)["type"]) == (409, "urn:opsconsole:idempotency-key-reused")
    other.refresh_from_db()
    assert other.state == JobState.QUEUED


def test_keys_are_each_token_s_own_and_last_a_day(ada: Program) -> None:
    bob, job = program(Role.OPERATOR, "bob"), make_job()
    ada.post(f"jobs/{job.pk}/cancel", WHY, key="one")
    assert "ended already" in problem_of(bob.post(f"jobs/{job.pk}/cancel", WHY, key="one"))["detail"]
    IdempotentCall.objects.update(begun_at=timezone.now() - timedelta(hours=25))
    assert "ended already" in problem_of(ada.post(f"jobs/{job.pk}/cancel", WHY, key="one"))["detail"]
    assert remove_calls(Bounds(timezone.now()), 0).removed == {"answers of the API": 1}
    assert IdempotentCall.objects.count() == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
def test_a_key_that_cannot_be_used_is_refused(ada: Program, key: str) -> None:
    job = make_job()
    assert problem_of(ada.post(f"jobs/{job.pk}/cancel", WHY, key=key))["status"] == 400
    assert cancels() == 0


def test_a_failure_of_ours_leaves_neither_act_nor_key(ada: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job()
    with monkeypatch.context() as broken:
        # The act is done when its answer cannot be made.
        broken.setattr("sync.endpoints.jobs.whole_jobs", _works_once())
        assert ada.post(f"jobs/{job.pk}/cancel", WHY, key="one").status_code == 500
    assert (Job.objects.get().state, cancels(), IdempotentCall.objects.count()) == (JobState.QUEUED, 0, 0)
    assert ada.post(f"jobs/{job.pk}/cancel", WHY, key="one").status_code == 200


def _works_once() -> object:
    answers = iter([Job.objects.all()])
    return lambda: next(answers, None)


def test_many_at_once_are_one_act(ada: Program) -> None:
    job = make_job()

    def send(_: int) -> tuple[int, bytes]:
        try:
            response = ada.post(f"jobs/{job.pk}/cancel", WHY, key="one")
            return response.status_code, response.content
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(send, range(8)))
    assert len(answers) == 1
    assert next(iter(answers))[0] == 200
    assert cancels() == 1


def test_one_that_is_under_way_too_long_says_so(ada: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "WAIT_SECONDS", 0.2)
    job = make_job()

    def send() -> object:
        try:
            return ada.post(f"jobs/{job.pk}/cancel", WHY, key="one")
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        IdempotentCall.objects.create(token=ada.token, key="one", fingerprint="of another")
        response = pool.submit(send).result()
    assert problem_of(response)["type"] == "urn:opsconsole:idempotency-key-under-way"  # type: ignore[arg-type]
    assert cancels() == 0


KILLED_IN_THE_ACT = """
import os, signal, sys
import django
django.setup()
from django.test import Client
from sync.endpoints import jobs
def die(*_, **__):
    print("done", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
real = jobs.climb
def climb_and_die(*args, **more):
    real(*args, **more)
    die()
jobs.climb = climb_and_die
secret, number, act = sys.argv[1:]
headers = {"authorization": "Bearer " + secret, "idempotency-key": "one"}
Client(SERVER_NAME="localhost", headers=headers).post(
    f"/api/v1/jobs/{number}/{act}", {"reason": "no longer needed"}, content_type="application/json")
"""


def die_in_the_act(ada: Program, job: Job, act: str) -> None:
    """A web process that is killed after the act, before the answer."""
    database_url = at_database(os.environ["DATABASE_URL"], connection.settings_dict["NAME"])
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings", "DATABASE_URL": database_url}
    call = [sys.executable, "-c", KILLED_IN_THE_ACT, ada.secret, str(job.pk), act]
    ended = subprocess.run(call, env=environment, capture_output=True, timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert b"done" in ended.stdout


def test_of_a_killed_process_nothing_is_left(ada: Program, queue: redis.Redis) -> None:
    job = make_job()
    die_in_the_act(ada, job, "cancel")
    assert (Job.objects.get().state, cancels(), IdempotentCall.objects.count()) == (JobState.QUEUED, 0, 0)
    assert ada.post(f"jobs/{job.pk}/cancel", WHY, key="one").status_code == 200
    assert cancels() == 1


def test_an_act_that_commits_itself_is_taken_over_a_minute_later(ada: Program, queue: redis.Redis) -> None:
    job, _ = claim(make_job())
    die_in_the_act(ada, job, "stop")
    assert Job.objects.get().state == JobState.CANCELLING
    early = ada.post(f"jobs/{job.pk}/stop", WHY, key="one")
    assert problem_of(early)["type"] == "urn:opsconsole:idempotency-key-under-way"
    IdempotentCall.objects.update(begun_at=timezone.now() - timedelta(minutes=2))
    late = ada.post(f"jobs/{job.pk}/stop", WHY, key="one")
    assert (late.status_code, late.json()["state"]) == (200, "cancelling")
    assert ada.post(f"jobs/{job.pk}/stop", WHY, key="one").content == late.content
