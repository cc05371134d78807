"""Scheduling as a whole, with nothing faked: real clocks, a real worker, real Redis, a job every second, a receiver.

Each of them is killed and comes back, and at the end each due time has one run and was executed once.
"""

from __future__ import annotations

import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from threading import Thread

import django_rq
import httpx
import pytest
from django.db.models.functions import Now
from django.utils import timezone

from monitoring.alerts.models import Alert
from monitoring.alerts.operations.notices import queue_notice
from monitoring.schedules.models import Action, Run, RunState, ScheduledJob
from monitoring.schedules.operations.defining import switch
from opsconsole import audit
from opsconsole.demo.addresses import ServerAddresses
from opsconsole.demo.ports import accepts, free_port
from opsconsole.demo.processes import Child
from opsconsole.demo.servers import EmbeddedServers
from opsconsole.models import Lease
from tests.monitoring.processes import python, running, wait_for, worker
from tests.monitoring.receivers import MailServer, mail_server
from tests.monitoring.scheduled import make_scheduled_job

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = [pytest.mark.usefixtures("committed", "queue"), pytest.mark.timeout(300)]

SECOND = timedelta(seconds=1)
TAKEOVER = 40.0


class Receiver(ThreadingHTTPServer):
    """The other system. It keeps when each run called, by its idempotency key."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Call)
        self.calls: dict[str, list[float]] = defaultdict(list)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/tick"


class Call(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.server.calls[self.headers["Idempotency-Key"]].append(time.monotonic())
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Not into the tests' output."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


def every_second(**fields: object) -> ScheduledJob:
    """A job due each second from now on, which nothing keeps from running beside itself."""
    now = timezone.now().replace(microsecond=0)
    values = {"interval": SECOND, "anchor": now, "since": now, "overlap": "allow", "critical": True, "catch_up": "all"}
    return make_scheduled_job("tick", **(values | fields))  # type: ignore[arg-type]


def done() -> int:
    return Run.objects.filter(state=RunState.DONE).count()


def wait_for_more(runs: int = 5, seconds: float = 60.0) -> None:
    wanted = done() + runs
    wait_for(lambda: done() >= wanted, f"{runs} more runs are done; {by_state()}", seconds)


def by_state() -> dict[str, int]:
    return {state: Run.objects.filter(state=state).count() for state in RunState.values}


def due_times() -> list[datetime]:
    """Of single rows and of ranges, which there must be none of."""
    assert set(Run.objects.values_list("count", flat=True)) == {1}
    return list(Run.objects.order_by("due_at").values_list("due_at", flat=True))


def assert_no_due_time_is_missing_or_double() -> None:
    dues = due_times()
    assert {later - sooner for sooner, later in pairwise(dues)} == {SECOND}


def leader() -> int:
    """The process that leads; 0 where none does."""
    holder = Lease.objects.filter(expires_at__gt=Now()).values_list("holder", flat=True).first()
    return int(holder.split(":")[1]) if holder else 0


def test_clock_worker_and_redis_are_killed_in_turn_and_each_due_time_runs_once(
    servers: ServerAddresses, embedded_servers: EmbeddedServers, tmp_path: Path, receiver: Receiver
) -> None:
    job = every_second(action=Action.HTTP, operation="", parameters={"method": "POST", "url": receiver.address})
    with ExitStack() as processes:
        clock = processes.enter_context(running("clock", servers, tmp_path, "clock"))
        one = processes.enter_context(worker("worker", servers, tmp_path))
        wait_for_more()

        clock.kill()
        clock.start()
        wait_for(lambda: leader() == clock.pid, "the new clock leads", TAKEOVER)
        wait_for_more()

        one.kill()
        one.start()
        wait_for_more()

        assert embedded_servers.valkey is not None
        embedded_servers.valkey.child.kill()
        fired = Run.objects.count()
        wait_for(lambda: Run.objects.count() >= fired + 2, "due times come and go meanwhile")
        embedded_servers.start_valkey()
        wait_for_more()

        switch(job, False, audit.WORKER, "The test is over", timezone.now())
        wait_for(lambda: not Run.objects.active().exists(), f"all runs have ended; {by_state()}", 60)

    assert_no_due_time_is_missing_or_double()
    runs = list(Run.objects.all())
    assert {run.state for run in runs} == {RunState.DONE}
    assert set(receiver.calls) == {f"run-{run.pk}" for run in runs}
    # A run whose worker is killed in it is started again under the same key: more calls than one only there.
    assert all(len(receiver.calls[f"run-{run.pk}"]) <= run.attempt for run in runs)
    assert sum(run.attempt - 1 for run in runs) <= 1


def test_of_two_clocks_one_leads_and_none_fires_twice(servers: ServerAddresses, tmp_path: Path) -> None:
    """The leader is killed; the next one is stopped, overtaken, and wakes up again."""
    every_second()
    with ExitStack() as processes:

        def start(name: str) -> Child:
            return processes.enter_context(running(name, servers, tmp_path, "clock"))

        clocks = {child.pid: child for child in (start("one"), start("two"))}
        wait_for(lambda: leader() in clocks, "one leads")
        first = clocks.pop(leader())
        (second,) = clocks.values()
        wait_for(lambda: "stands by" in second.log_path.read_text(), "the other one stands by")
        wait_for(lambda: Run.objects.count() >= 3, "it fires")

        first.kill()
        wait_for(lambda: leader() == second.pid, "the other one leads", TAKEOVER)
        third = start("three")
        wait_for(lambda: "stands by" in third.log_path.read_text(), "a third one stands by")

        second.send(signal.SIGSTOP)
        wait_for(lambda: leader() == third.pid, "the third one leads", TAKEOVER)
        second.send(signal.SIGCONT)
        wait_for(lambda: "stands by" in second.log_path.read_text().partition("leads")[2], "the stopped one stands by")
        assert leader() == third.pid
        fired = Run.objects.count()
        wait_for(lambda: Run.objects.count() >= fired + 3, "it goes on firing")

    assert_no_due_time_is_missing_or_double()
    waiting = django_rq.get_queue("default").get_job_ids()
    assert len(waiting) == len(set(waiting)) == Run.objects.count()


def test_a_silent_clock_is_told_by_the_web_process_and_by_workers(
    servers: ServerAddresses, tmp_path: Path, mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No clock runs: the probe says so, and what else waits; one mail leaves without it. A clock ends it."""
    monkeypatch.setenv("ALERT_OPERATORS", "ops@example.com")
    monkeypatch.setenv("EMAIL_HOST", "127.0.0.1")
    monkeypatch.setenv("EMAIL_PORT", str(mail.port))
    monkeypatch.setenv("EMAIL_USE_TLS", "off")
    monkeypatch.setenv("DAILY_WORD_AT", "")
    long_ago = timezone.now() - timedelta(seconds=100)
    Lease.objects.create(name="clock", holder="host:1:gone", expires_at=long_ago, beat_at=long_ago)
    queue_notice(key="due", template="alerts/messages/test", context={}, to="ann@example.com", now=long_ago)
    port = free_port(0)
    address = f"http://127.0.0.1:{port}"

    def probe() -> tuple[int, list[str]]:
        answer = httpx.get(f"{address}/healthz", timeout=30)
        return answer.status_code, answer.json()["failed"]

    with ExitStack() as processes:
        web = processes.enter_context(gunicorn(servers, tmp_path, port))
        wait_for(lambda: accepts(port), "the web process answers")
        assert probe() == (503, ["clock", "notifications"])
        assert httpx.get(f"{address}/livez", timeout=30).status_code == 200
        one = processes.enter_context(worker("worker", servers, tmp_path))
        said = "the clock is silent since"
        wait_for(lambda: said in web.log_path.read_text() and said in one.log_path.read_text(), "both log it")
        wait_for(lambda: len(mail.mails) > 0, "one of them sends it")
        processes.enter_context(running("clock", servers, tmp_path, "clock"))
        wait_for(lambda: probe() == (200, []), "all is well again", TAKEOVER)
        wait_for(lambda: not Alert.objects.open().exists(), "the alert is over", TAKEOVER)
        wait_for(lambda: len(mail.mails) == 3, "and all mails have left")
    subjects = [sent["Subject"] for sent in mail.mails]
    assert subjects[0] == "[Critical] Clock silent: No clock is running"
    assert sum("Critical" in subject for subject in subjects) == 1
    assert Alert.objects.get().count == 1


def gunicorn(servers: ServerAddresses, folder: Path, port: int) -> AbstractContextManager[Child]:
    arguments = ("-m", "gunicorn", "opsconsole.wsgi", "--bind", f"127.0.0.1:{port}", "--threads", "2")
    return python("web", servers, folder, *arguments)
