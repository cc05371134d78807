"""What probes are told, who watches the clock, and the ping that goes out while all is well."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import django_rq
import pytest
import redis
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from monitoring.pipeline import beats
from monitoring.pipeline.models import WorkerBeat
from monitoring.pipeline.operations.queues import pause
from opsconsole import audit
from opsconsole.clock.lease import LeaseKeeper
from opsconsole.clock.outside import ping_outside
from opsconsole.clock.watch import Watch, clock_silent, look_once
from opsconsole.demo.processes import wait_until
from opsconsole.demo.servers import EmbeddedServers
from opsconsole.models import Lease

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.usefixtures("committed", "queue")

SECOND = timedelta(seconds=1)


@pytest.fixture
def clock() -> None:
    """A clock that has just given its sign."""
    LeaseKeeper("host:1:clock").hold()


def silent_for(seconds: float) -> datetime:
    """When the clock gave its last sign, if it was so long ago."""
    since = timezone.now() - seconds * SECOND
    Lease.objects.update(beat_at=since)
    return since


def healthz() -> tuple[int, list[str]]:
    answer = Client().get("/healthz")
    assert answer.headers["Cache-Control"].startswith("max-age=0")
    return answer.status_code, answer.json()["failed"]


class TestProbes:
    def test_all_is_well(self, clock: None) -> None:
        assert healthz() == (200, [])

    def test_a_clock_that_never_ran_or_is_silent_for_thirty_seconds(self, clock: None) -> None:
        silent_for(25)
        assert healthz() == (200, [])
        silent_for(31)
        assert healthz() == (503, ["clock"])
        Lease.objects.all().delete()
        assert healthz() == (503, ["clock"])

    def test_something_waits_in_a_queue_that_nobody_serves(self, clock: None) -> None:
        django_rq.get_queue("low").enqueue("sync.jobs.run_job", 1)
        beats.beat("w", ["high", "default"], 0)
        assert healthz() == (503, ["workers"])
        beats.beat("v", ["low"], 0)
        assert healthz() == (200, [])
        WorkerBeat.objects.filter(name="v").update(beat_at=timezone.now() - 20 * SECOND)
        assert healthz() == (503, ["workers"])
        pause("low", audit.WORKER, "A test")
        assert healthz() == (200, [])

    def test_redis_away(self, clock: None, embedded_servers: EmbeddedServers) -> None:
        embedded_servers.stop_valkey()
        try:
            assert healthz() == (503, ["redis"])
        finally:
            embedded_servers.start_valkey()

    def test_it_costs_a_few_queries(self, clock: None) -> None:
        with CaptureQueriesContext(connection) as seen:
            healthz()
        assert len(seen) <= 6

    def test_only_a_safe_method_and_plain_http_will_do(self, clock: None, settings: Settings) -> None:
        settings.SECURE_SSL_REDIRECT = True
        assert Client().get("/healthz").status_code == 200
        assert Client().get("/login/").status_code == 301
        assert Client().post("/livez").status_code == 405

    def test_the_process_lives_whatever_else_does_not(self, clock: None) -> None:
        silent_for(3_600)
        with CaptureQueriesContext(connection) as seen:
            assert Client().get("/livez").status_code == 200
        assert len(seen) == 0


def test_without_its_database_that_is_all_that_is_told(clock: None) -> None:
    """The server ends the connection in the middle of it."""
    with connection.cursor() as cursor, pytest.raises(Exception, match="terminating"):
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert healthz() == (503, ["database"])
    connection.close()


class TestWatch:
    @pytest.fixture
    def heard(self) -> Iterator[list[datetime]]:
        received: list[datetime] = []

        def listen(sender: object, *, since: datetime, **_: Any) -> None:
            received.append(since)

        clock_silent.connect(listen, dispatch_uid="tests")
        yield received
        clock_silent.disconnect(dispatch_uid="tests")

    def test_it_says_once_that_the_clock_is_silent_and_that_it_is_back(
        self, clock: None, heard: list[datetime], caplog: pytest.LogCaptureFixture
    ) -> None:
        watch, now = Watch(timezone.now()), timezone.now()
        assert not watch.look(now)
        since = silent_for(31)
        assert [watch.look(timezone.now()) for _ in range(2)] == [True, True]
        assert heard == [since, since]
        LeaseKeeper("host:2:clock").hold()
        Lease.objects.update(beat_at=timezone.now())
        assert not watch.look(timezone.now())
        said = [(record.levelno, record.getMessage()) for record in caplog.records if "clock" in record.name]
        assert [level for level, _ in said] == [logging.ERROR, logging.WARNING]
        assert "start one, nothing happens by itself" in said[0][1]

    def test_a_clock_that_never_ran_is_silent_since_somebody_looked(self, heard: list[datetime]) -> None:
        now = timezone.now()
        watch = Watch(now)
        assert not watch.look(now + 30 * SECOND)
        assert watch.look(now + 31 * SECOND)
        assert heard == [now]

    def test_every_worker_looks_with_its_own_sign(self, heard: list[datetime], clock: None) -> None:
        from opsconsole.worker import ConsoleWorker, worker_beat  # noqa: PLC0415

        since = silent_for(60)
        worker_beat.send(sender=ConsoleWorker, worker="w", queues=["default"], child=0)
        assert wait_until(lambda: heard == [since], 5)

    def test_looking_leaves_no_connection_behind(self, clock: None) -> None:
        def look() -> None:
            look_once(Watch(timezone.now()))
            open_ones.append(connection.connection)

        open_ones: list[object] = []
        thread = Thread(target=look)
        thread.start()
        thread.join()
        assert open_ones == [None]


class Outside(ThreadingHTTPServer):
    """Somebody else's watch: counts what it hears, and answers `status`."""

    heard = 0
    status = 200


class Answer(BaseHTTPRequestHandler):
    server: Outside

    def do_GET(self) -> None:
        self.server.heard += 1
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Not into the tests' output."""


@contextmanager
def outside() -> Iterator[Outside]:
    with Outside(("127.0.0.1", 0), Answer) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class TestOutgoingPing:
    def test_it_goes_out_while_all_is_well_and_is_held_back_else(
        self, clock: None, settings: Settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        with outside() as watch:
            settings.OUTSIDE_PING_URL = f"http://127.0.0.1:{watch.server_port}/ping/secret"
            assert ping_outside()
            assert watch.heard == 1
            django_rq.get_queue("default").enqueue("sync.jobs.run_job", 1)
            assert not ping_outside()
            assert watch.heard == 1
            assert "held back: workers" in caplog.text

    def test_one_that_is_not_taken_is_logged_without_its_address(
        self, clock: None, settings: Settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        with outside() as watch:
            watch.status = 500
            settings.OUTSIDE_PING_URL = f"http://127.0.0.1:{watch.server_port}/ping/secret"
            assert not ping_outside()
        assert not ping_outside()
        assert "not taken: the address answered 500" in caplog.text
        assert "not taken: The address cannot be reached" in caplog.text
        assert "secret" not in "".join(record.getMessage() for record in caplog.records)

    def test_without_an_address_there_is_none(self, clock: None, queue: redis.Redis) -> None:
        assert not ping_outside()
