"""Every list of a console that has been in use for long, first page and last, and each way to sort it, at the server.

Without HTTP: what the server does from the request to the whole answer, with all of Django's middleware.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from statistics import median
from time import thread_time
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from urllib.parse import parse_qsl, urlencode

from django.db import connection

from benchmarks.clock import processor_seconds
from benchmarks.measurement import Goal, Measurement, is_quick, seconds
from benchmarks.pages import PAGE, pages, require_few_queries
from benchmarks.stage import say
from opsconsole import keyset

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.test import Client

    from benchmarks.large_console import Filled

COMMAND = 'make bench ARGS="scale"'
GOAL = Goal(150, "ms")
ROUNDS = 2 if is_quick() else 7
SLOWEST_SHOWN = 15
MS = 1_000
OTHER_LISTS = (
    "/sync/jobs/?state=dead",
    "/sync/jobs/?state=active",
    "/sync/jobs/?state=looping",
    "/sync/jobs/?mode=sync",
    "/sync/jobs/dead/",
    "/sync/batches/?state=done",
    "/sync/batches/approvals/",
    "/audit/",
    "/audit/?actor=ada",
    "/audit/?action=batch.started",
    "/alerts/",
    "/alerts/outbox/",
    "/alerts/outbox/dead/",
    "/alerts/mutes/",
    "/alerts/channels/",
    "/schedules/",
    "/schedules/jobs/nightly/",
    "/schedules/missed/",
    "/schedules/dead/",
    "/schedules/monitors/",
    "/pipeline/overview/",
    "/pipeline/queues/",
    "/pipeline/workers/",
    "/pipeline/canary/",
    "/tracked-tasks/",
)
"""Beside those of `benchmarks.pages`."""


@dataclass(frozen=True)
class Timed:
    """An address with its times in ms: the usual and the slowest answer; and what an answer takes of the processors,
    in Python and at the database, which other programs on the machine change little. `queries`: how many it asks."""

    address: str
    median: float
    worst: float
    python: float
    database: float
    queries: int

    def __str__(self) -> str:
        times = f"{self.median:>9.1f} {self.worst:>9.1f} {self.python:>9.1f} {self.database:>9.1f}"
        return f"{times} {self.queries:>8}   {self.address}"


def measure(client: Client, filled: Filled, jobs: int, drift: int) -> Iterator[Measurement]:
    timed = [_time(client, address) for address in addresses(client, filled)]
    timed.sort(key=lambda one: one.median, reverse=True)
    say(f"{'median':>9} {'worst':>9} {'python':>9} {'database':>9} {'queries':>8}   ms of the slowest of {len(timed)}")
    for one in timed[:SLOWEST_SHOWN]:
        say(str(one))
    say("... and those with most work at the database:")
    for one in sorted(timed, key=lambda one: one.database, reverse=True)[:SLOWEST_SHOWN]:
        say(str(one))
    usual = median(one.median for one in timed)
    what = f"{len(timed)} pages, {jobs:,} jobs, {drift:,} drift"
    for name, figure in (("slowest", timed[0].median), ("worst answer", max(one.worst for one in timed))):
        yield Measurement(f"{name} of {what}", figure, usual, GOAL, COMMAND, "ms", other_figure=figure)


def addresses(client: Client, filled: Filled) -> list[str]:
    """First page of each list, each of its sorts both ways, and the last page of each of these."""
    known = [address for _, first, last in pages(filled) for address in (first, last)]
    firsts = [address for address in (*known, *OTHER_LISTS) if "cursor=" not in address]
    found = dict.fromkeys(known)
    for first in firsts:
        for address in (first, *_sorted(client, first)):
            found[address] = None
            if last := _last_page(client, address):
                found[last] = None
    return list(found)


def _sorted(client: Client, address: str) -> Iterator[str]:
    """As the links in the header of the table say, and the other way round."""
    path, _, query = address.partition("?")
    text = client.get(address).content.decode()
    names = {name.removeprefix("-") for name in re.findall(r'href="\?[^"]*\bsort=(-?\w+)', unescape(text))}
    for name in sorted(names):
        for sort in (name, f"-{name}"):
            yield f"{path}?{urlencode([*parse_qsl(query), ('sort', sort)])}"


def _last_page(client: Client, address: str) -> str:
    """Its address, found by asking the list's own rows from the other end; empty where the first page is the last."""
    asked: list[tuple[QuerySet[Any], Any]] = []

    def remember(rows: QuerySet[Any], ordering: Any, **kwargs: Any) -> keyset.KeysetPage[Any]:
        asked.append((rows, ordering))
        return original(rows, ordering, **kwargs)

    original = keyset.keyset_page
    with patch.object(keyset, "keyset_page", remember):
        response = client.get(address)
    assert response.status_code == 200, f"{address} answered {response.status_code}"
    if not asked:
        return ""
    rows, ordering = asked[0]
    columns = tuple(keyset.column_of(rows, name) for name in ordering)
    before_last = rows.order_by(*(column.order(backward=True) for column in columns))[PAGE : PAGE + 1]
    for row in before_last:
        path, _, query = address.partition("?")
        cursor = keyset.cursor_at(columns, row, backward=False)
        return f"{path}?{urlencode([*parse_qsl(query), ('cursor', cursor)])}"
    return ""


def _time(client: Client, address: str) -> Timed:
    queries = require_few_queries(client, address)
    backend = connection.connection.info.backend_pid
    begin = (thread_time(), processor_seconds(backend))
    took = [seconds(lambda: client.get(address)) * MS for _ in range(ROUNDS)]
    python, database = thread_time() - begin[0], processor_seconds(backend) - begin[1]
    return Timed(address, median(took), max(took), python / ROUNDS * MS, database / ROUNDS * MS, queries)
