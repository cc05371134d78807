"""Stop means stopped, through real processes: a worker and its child, a source that hangs, how each step ends it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from opsconsole.demo.addresses import ServerAddresses
from opsconsole.demo.company import Size
from opsconsole.demo.processes import identity
from tests.company import run_sql
from tests.sync.console import Console, running_console

pytestmark = [pytest.mark.filterwarnings("ignore::ResourceWarning")]

NAME = "ladder"
SIZE = Size(organizations=12, tasks=4_000, largest=1_900)


@pytest.fixture(scope="module")
def console(servers: ServerAddresses, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    limits = {"chunk_rows": 1, "settle_time": "0s", "verify_timeout": "30s"}
    with running_console(servers, tmp_path_factory.mktemp(NAME), NAME, size=SIZE, limits=limits) as made:
        yield made


@contextmanager
def source_that_hangs(console: Console) -> Iterator[None]:
    """Whoever reads tasks at the source meanwhile waits."""
    with psycopg.connect(console.company.source_owner_url) as source:
        source.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
        yield


def hanging_statements(console: Console) -> int:
    """Of the console at the source: those that wait for a lock of its table."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'opsconsole %%' AND wait_event = %s"
    return int(run_sql(console.admin_url, query, "relation")[0][0])


def queued(console: Console) -> int:
    """A job of the largest organization, for whichever worker comes."""
    return console.queue_sync(console.company.organizations()[0])


def process_of(console: Console, number: int) -> int:
    """The process that has begun the job."""
    console.wait("it has begun", lambda: bool(console.attempts(number)))
    return console.attempts(number)[-1][1]


def hanging_process_of(console: Console, number: int) -> int:
    """As `process_of`, once it waits for the source."""
    process = process_of(console, number)
    console.wait("its query hangs", lambda: hanging_statements(console) == 1)
    return process


def ladder(console: Console, number: int) -> list[dict[str, Any]]:
    """What was asked, the latest first."""
    steps: list[dict[str, Any]] = console.run("job", "show", str(number))["ladder"]
    return steps


def evidence(console: Console, number: int) -> str:
    return " ".join(line for step in ladder(console, number) for line in step["evidence"])


def seconds_to(console: Console, number: int, *, within: float) -> float:
    begun = time.monotonic()
    console.wait(
        f"job {number} is cancelled; it is {console.job(number)}",
        lambda: console.job(number)["state"] == "cancelled",
        within,
    )
    return time.monotonic() - begun


def test_cancel_ends_a_walk_within_two_seconds_and_keeps_what_was_found(console: Console) -> None:
    run_sql(console.company.index_owner_url, "UPDATE tasks SET status = 'waiting' WHERE status = 'completed'")
    number = queued(console)
    with console.worker():
        process = process_of(console, number)
        console.wait("it has found drift", lambda: console.job(number)["stale"] > 0)
        console.run("job", "cancel", str(number), "--reason", "wrong one")
        assert seconds_to(console, number, within=2) < 2
        console.wait("its process ended", lambda: not identity(process), 5)
    job = console.job(number)
    assert 0 < job["stale"] <= job["scanned"] < 1_900
    (step,) = ladder(console, number)
    assert (step["step"], step["acknowledged_at"] is None, step["ended_at"] is None) == ("cancel", False, False)
    assert f"Ended by process {process} itself" in evidence(console, number)
    assert [outcome for outcome, _ in console.attempts(number)] == ["cancelled"]


def test_stop_ends_a_hanging_query_here_and_at_the_server(console: Console) -> None:
    number = queued(console)
    with source_that_hangs(console), console.worker():
        process = hanging_process_of(console, number)
        console.run("job", "stop", str(number), "--reason", "it hangs")
        seconds_to(console, number, within=5)
        console.wait("its process ended", lambda: not identity(process), 5)
        console.wait("the server gave up the statement", lambda: hanging_statements(console) == 0, 5)
        console.wait("its end was told", lambda: "exit status 0, as its worker saw" in evidence(console, number), 5)
    (step,) = ladder(console, number)
    assert (step["step"], step["acknowledged_at"] is None, step["ended_at"] is None) == ("stop", False, False)
    assert "SIGUSR1 was sent to it on this machine" in evidence(console, number)
    assert [outcome for outcome, _ in console.attempts(number)] == ["cancelled"]


def test_kill_ends_the_process_and_its_statement(console: Console) -> None:
    number = queued(console)
    with source_that_hangs(console), console.worker():
        process = hanging_process_of(console, number)
        console.run("job", "kill", str(number), "--reason", "enough")
        seconds_to(console, number, within=5)
        assert not identity(process)
        console.wait("the server gave up the statement", lambda: hanging_statements(console) == 0, 5)
    assert "killed by SIGKILL. It was being cancelled: cancelled." in evidence(console, number)
    assert [outcome for outcome, _ in console.attempts(number)] == ["killed"]


def test_a_process_that_is_paused_is_killed_by_the_clock(console: Console) -> None:
    """It answers neither the wish nor an interrupt; its heartbeat says so."""
    number = queued(console)
    with source_that_hangs(console), console.worker() as worker:
        process = hanging_process_of(console, number)
        os.kill(process, signal.SIGSTOP)
        console.run("job", "cancel", str(number), "--reason", "wrong one")
        seconds_to(console, number, within=40)
        assert not identity(process)
        assert worker.alive
        assert hanging_statements(console) == 0
    assert [step["step"] for step in ladder(console, number)] == ["kill", "cancel"]
    assert "killed by SIGKILL" in evidence(console, number)


def test_a_dead_worker_leaves_a_cancelled_job_and_nobody_runs_it_again(console: Console) -> None:
    number, smallest = queued(console), console.company.organizations()[-1]
    with source_that_hangs(console), console.worker("first-worker") as first:
        process = hanging_process_of(console, number)
        os.kill(process, signal.SIGSTOP)  # so that the wish is not heard before the death
        console.run("job", "cancel", str(number), "--reason", "wrong one")
        first.kill()
        console.wait("the child died with it", lambda: not identity(process), 5)
    with console.worker("second-worker"):
        seconds_to(console, number, within=40)
        console.run("stage_orgs", str(smallest))
        console.wait_for(int(console.run("process_batch", "--size", "1")["jobs"][0]["job"]), "done")
    assert console.job(number)["state"] == "cancelled"
    assert [outcome for outcome, _ in console.attempts(number)] == ["vanished"]


def test_a_command_that_runs_a_job_itself_hears_of_it_through_the_database(console: Console) -> None:
    organization = str(console.company.organizations()[0])
    with source_that_hangs(console):
        with console.command("check_org", organization) as command:
            console.wait("its query hangs", lambda: hanging_statements(console) == 1)
            number = int(run_sql(console.database_url, "SELECT max(id) FROM sync_job")[0][0])
            console.run("job", "stop", str(number), "--reason", "it hangs")
            seconds_to(console, number, within=8)
            console.wait("the command ended", lambda: not command.alive, 8)
        assert hanging_statements(console) == 0
