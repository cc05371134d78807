"""`run_scheduled` and `scheduled_jobs`: what they print, their exit status, and twice the same key."""

from __future__ import annotations

import io
import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from monitoring.schedules.jobs import run_scheduled
from monitoring.schedules.models import Monitor, Run, RunState, ScheduledJob
from monitoring.schedules.operations.admission import release_waiting
from opsconsole.models import AuditEntry
from tests.monitoring.scheduled import make_scheduled_job

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.usefixtures("committed", "queue", "use_estate")


def call(*arguments: str) -> tuple[int, dict[str, Any], str]:
    """Exit status, the JSON of the last line, and what was said."""
    out, said = io.StringIO(), io.StringIO()
    status = 0
    try:
        call_command(*arguments, "--json", stdout=out, stderr=said)
    except SystemExit as ended:
        status = int(ended.code or 0)
    return status, json.loads(out.getvalue().splitlines()[-1]), said.getvalue()


def test_a_job_is_run_and_what_follows_is_said_first() -> None:
    make_scheduled_job("sync")
    make_scheduled_job("export", after=["sync"])
    status, answer, said = call("run_scheduled", "sync", "--following", "--reason", "r")
    assert status == 0
    assert "sync runs now, as run " in said
    assert "; then export." in said
    assert [(run["job"], run["state"]) for run in answer["runs"]] == [("sync", "queued"), ("export", "waiting")]
    assert AuditEntry.objects.get(action="scheduled_job.run").door == "command"


def test_the_same_key_is_the_same_run() -> None:
    make_scheduled_job("sync")
    make_scheduled_job("export", after=["sync"])
    (_, first, said), (_, again, said_again) = (
        call("run_scheduled", "sync", "--following", "--key", "ticket") for _ in range(2)
    )
    assert first == again
    assert "sync runs now, as run" in said
    assert "sync was asked for before, as run" in said_again
    assert Run.objects.count() == 2
    call("run_scheduled", "export", "--key", "ticket")
    assert Run.objects.count() == 2  # a key is for one job: the export of that key has run already
    call("run_scheduled", "sync", "--key", "other")
    assert Run.objects.count() == 3


@pytest.mark.parametrize(("name", "key", "said"), [("none", "", "no scheduled job"), ("sync", "k" * 101, "allowed")])
def test_a_wrong_request(name: str, key: str, said: str) -> None:
    make_scheduled_job("sync")
    status, answer, _ = call("run_scheduled", name, "--key", key)
    assert status == 2
    assert said in answer["error"]


class Worker(threading.Thread):
    """Runs what is queued and releases what waits, as a worker and a clock would, until so many runs have ended."""

    def __init__(self, runs: int) -> None:
        super().__init__(daemon=True)
        self.runs = runs

    def run(self) -> None:
        ended = 0
        while ended < self.runs:
            release_waiting_once()
            for number in Run.objects.filter(state=RunState.QUEUED).values_list("pk", flat=True):
                run_scheduled(number)
                ended += 1
        connection.close()


def release_waiting_once() -> None:
    with transaction.atomic():
        release_waiting()


@pytest.mark.parametrize(("operation", "status"), [("noted", 0), ("gone", 1)])
def test_waiting_ends_with_the_runs(operation: str, status: int) -> None:
    make_scheduled_job("sync", operation=operation, parameters={"line": "swept"}, retry_delays=[])
    make_scheduled_job("export", after=["sync"])
    worker = Worker(2 if status == 0 else 1)
    worker.start()
    found, answer, said = call("run_scheduled", "sync", "--following", "--wait")
    worker.join()
    assert found == status
    if status == 0:
        assert "sync: swept" in said
        assert [run["state"] for run in answer["runs"]] == ["done", "done"]
    else:
        assert [run["state"] for run in answer["runs"]] == ["failed", "waiting"]
        assert "There is no operation 'gone'" in answer["runs"][0]["error"]


def test_jobs_are_listed_and_the_files_loaded() -> None:
    make_scheduled_job("sweep", enabled=False)
    _, answer, said = call("scheduled_jobs", "list")
    assert answer["jobs"][0]["schedule"] == "every 5 minutes"
    assert "disabled" in said
    _, loaded, _ = call("scheduled_jobs", "load")
    assert loaded == {
        "made": [],
        "changed": [],
        "disabled": [],
        "monitors": {"made": [], "changed": [], "paused": []},
    }
    assert ScheduledJob.objects.count() == 1


def test_monitors_are_listed_with_their_addresses() -> None:
    monitor = Monitor.objects.create(name="backup", period=timedelta(days=1))
    _, answer, said = call("monitors")
    assert answer["monitors"][0]["path"] == f"/ping/{monitor.code}"
    assert "backup" in said
    assert "no ping yet" in said
