"""A client that was written for Healthchecks, from PyPI and unchanged, against a live server of ours."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from django.core.wsgi import get_wsgi_application
from django.db import connections
from django.utils import timezone
from healthchecks_decorator import healthcheck

from monitoring.schedules.models import Monitor, Ping, PingKey
from monitoring.schedules.operations.watching import fold_pings
from monitoring.schedules.pings import Status

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.usefixtures("committed")


class Quiet(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        """Not into the tests' output."""


class Serving(threading.Thread):
    def __init__(self, server: WSGIServer) -> None:
        super().__init__(daemon=True)
        self.server = server

    def run(self) -> None:
        self.server.serve_forever(poll_interval=0.05)
        connections.close_all()


@pytest.fixture
def served() -> Iterator[str]:
    with make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Quiet) as server:
        thread = Serving(server)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def monitor() -> Monitor:
    return Monitor.objects.create(name="backup", period=timedelta(days=1))


def heard(monitor: Monitor) -> tuple[list[str], Status]:
    """The kinds of its pings, and how it stands."""
    fold_pings()
    monitor.refresh_from_db()
    kinds = list(Ping.objects.filter(monitor=monitor).order_by("pk").values_list("kind", flat=True))
    return kinds, monitor.status_at(timezone.now())


def test_a_job_that_succeeds_is_up_with_its_duration_and_what_it_said(served: str, monitor: Monitor) -> None:
    @healthcheck(url=f"{served}/ping/{monitor.code}", send_start=True, send_diagnostics=True)
    def backup() -> dict[str, int]:
        assert heard(monitor) == (["start"], Status.NEW)
        assert monitor.started
        return {"rows": 7}

    backup()
    assert heard(monitor) == (["start", "success"], Status.UP)
    success = Ping.objects.get(kind="success")
    assert success.text == "rows=7"
    assert success.duration is not None
    assert not monitor.started


def test_a_job_that_fails_is_down(served: str, monitor: Monitor) -> None:
    @healthcheck(url=f"{served}/ping/{monitor.code}")
    def backup() -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        backup()
    assert heard(monitor) == (["fail"], Status.DOWN)


def test_the_first_ping_under_a_key_makes_the_monitor(served: str) -> None:
    key = PingKey.objects.create(name="team", created_by="tests")

    @healthcheck(url=f"{served}/ping/{key.key}/report?create=1", send_start=True)
    def report() -> None:
        """The work of another system."""

    report()
    assert heard(Monitor.objects.get(key=key, name="report")) == (["start", "success"], Status.UP)


def test_an_unknown_address_does_not_keep_the_job_from_its_work(served: str) -> None:
    @healthcheck(url=f"{served}/ping/{uuid4()}")
    def backup() -> str:
        return "done"

    assert backup() == "done"
    assert not Ping.objects.exists()
