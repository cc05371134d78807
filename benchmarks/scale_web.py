"""The web process under requests: its memory over many of them, and what open pages cost it.

A real gunicorn with one worker process, spoken to over loopback.
"""

from __future__ import annotations

import http.client
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING

from benchmarks.clock import cpu_share
from benchmarks.measurement import Goal, Measurement
from benchmarks.pages import pages
from benchmarks.stage import Stage, wait_for
from opsconsole.demo.ports import accepts, free_port
from opsconsole.demo.processes import Child, Command
from opsconsole.live import HEADER

if TYPE_CHECKING:
    from benchmarks.large_console import Filled

COMMAND = 'make bench ARGS="scale"'
MIB = 1024 * 1024
PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")
CLIENTS = 4
OTHERS = (
    *("/", "/pipeline/overview/", "/pipeline/queues/", "/pipeline/workers/", "/pipeline/lag/", "/audit/", "/alerts/"),
    *("/alerts/outbox/", "/schedules/", "/schedules/missed/", "/search/?q=customer", "/sync/by-hand/", "/help/"),
)
"""Beside the lists of `benchmarks.pages`."""
PEOPLE = 10
COMES_TO_REST = 45.0
MEASURED = 30.0
"""Seconds."""


@dataclass(frozen=True)
class Web:
    """A web process (gunicorn's one worker), where it listens, and the cookies of people who are logged in."""

    pid: int
    port: int
    cookies: Sequence[str]

    def memory(self) -> float:
        """MiB that it has in memory."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * PAGE_SIZE / MIB


@contextmanager
def web_process(stage: Stage, cookies: Sequence[str]) -> Iterator[Web]:
    port = free_port()
    arguments = ("-m", "gunicorn", "opsconsole.wsgi", "--bind", f"127.0.0.1:{port}", "--workers", "1", "--threads", "4")
    environment = dict(os.environ) | {"DEBUG": "off"}
    child = Child(Command("web", (sys.executable, *arguments), environment=environment), stage.folder)
    child.start()
    try:
        wait_for(lambda: accepts(port) and bool(_children(child.pid)), "the web process is up")
        yield Web(_children(child.pid)[0], port, cookies)
    finally:
        child.stop()


def _children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(number) for number in path.read_text().split()] if path.exists() else []


class Visitor:
    """Somebody's browser: one connection that is kept."""

    def __init__(self, web: Web, cookie: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=60)
        self._headers = {"Cookie": cookie}

    def get(self, address: str, **headers: str) -> http.client.HTTPResponse:
        """The answer, read to its end. Raises RuntimeError where it is an error, or leads to the login."""
        self._connection.request("GET", address, headers=self._headers | headers)
        response = self._connection.getresponse()
        response.read()
        if response.status >= HTTPStatus.BAD_REQUEST or "login" in response.headers.get("Location", ""):
            raise RuntimeError(f"{address} answered {response.status}")
        return response

    def close(self) -> None:
        self._connection.close()


def measure(stage: Stage, filled: Filled, cookies: Sequence[str]) -> Iterator[Measurement]:
    visited = [address for _, first, last in pages(filled) for address in (first, last)]
    with web_process(stage, cookies) as web:
        yield from _memory(web, [*visited, *OTHERS], quick=stage.quick)
    with stage.worker(), web_process(stage, cookies) as web:
        yield from _open_pages(web, _live_parts(filled))


def _memory(web: Web, addresses: Sequence[str], *, quick: bool) -> Iterator[Measurement]:
    first, last = (200, 2_000) if quick else (1_000, 10_000)
    _ask(web, addresses, first)
    early = web.memory()
    _ask(web, addresses, last - first)
    late = web.memory()
    name = f"memory of the web process after {last:,} requests, {first:,}"
    yield Measurement(name, late, early, Goal(1.05), COMMAND, "MiB")


def _ask(web: Web, addresses: Sequence[str], requests: int) -> None:
    """So many requests by four clients at once, over all addresses in turn."""
    numbers = iter(range(requests))
    lock = Lock()

    def work(cookie: str) -> None:
        with closing(Visitor(web, cookie)) as visitor:
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                visitor.get(addresses[number % len(addresses)])

    with ThreadPoolExecutor(CLIENTS) as pool:
        for done in [pool.submit(work, cookie) for cookie in web.cookies[:CLIENTS]]:
            done.result()


def _live_parts(filled: Filled) -> list[tuple[str, float]]:
    """What fifty open pages ask for while a batch runs and something is wrong, each with its own seconds."""
    from sync.models import Batch, Job

    Job.objects.filter(pk=filled.job).update(state="running", phase="walk")
    Batch.objects.filter(pk=filled.batch).update(state="running")
    return [
        *[("/pipeline/overview/live/", 5.0)] * 20,
        *[("/pipeline/queues/live/", 5.0)] * 10,
        *[("/pipeline/workers/live/", 5.0)] * 5,
        *[("/pipeline/lag/live/", 10.0)] * 5,
        *[(f"/sync/batches/{filled.batch}/live/", 2.0)] * 5,
        *[(f"/sync/jobs/{filled.job}/live/", 2.0)] * 5,
    ]


def _open_pages(web: Web, parts: Sequence[tuple[str, float]]) -> Iterator[Measurement]:
    """Each asks again as `static/js/live.js` does: after its own seconds, or after those that the answer asks for."""
    closed = Event()
    polls = Counter[str]()

    def stay_open(number: int) -> None:
        address, every = parts[number]
        wait = every * number / len(parts)
        while not closed.wait(wait):
            with closing(Visitor(web, web.cookies[number % len(web.cookies)])) as visitor:
                answer = visitor.get(address, **{"HX-Request": "true"})
            polls[address] += 1
            wait = max(every, float(answer.headers[HEADER]))

    with ThreadPoolExecutor(len(parts)) as pool:
        opened = [pool.submit(stay_open, number) for number in range(len(parts))]
        try:
            time.sleep(COMES_TO_REST)
            before = polls.total()
            share = cpu_share(web.pid, MEASURED)
            asked = polls.total() - before
        finally:
            closed.set()
        for done in opened:
            done.result()
    name = f"{len(parts)} open pages, of a core of the web process"
    yield Measurement(name, share, 1.0, Goal(10, "%"), COMMAND, "s/s", other_figure=share * 100)
    wished = sum(MEASURED / every for _, every in parts)
    yield Measurement(
        "their requests a second, of those wished for", asked / MEASURED, wished / MEASURED, None, COMMAND, "/s"
    )
