"""What grows with use: workers, jobs done by one, rows in the console, requests to the web process, open pages.

That a batch of 10,000 organizations is queued within 5 s is measured by `queueing`.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import TYPE_CHECKING

from django.db import connection, connections

from benchmarks import scale_lists, scale_web, scale_workers
from benchmarks.large_console import Filled, Size, fill
from benchmarks.large_history import fill_history
from benchmarks.measurement import Measurement
from benchmarks.stage import Stage, say

if TYPE_CHECKING:
    from django.test import Client

FULL = Size(
    jobs=1_000_000, drift=10_000_000, drift_of_one=1_000_000, batch_size=10_000, staged=100_000, skipped=100_000
)
QUICK = Size(jobs=100_000, drift=1_000_000, drift_of_one=100_000, batch_size=10_000, staged=20_000, skipped=20_000)
ROLE = "operator"


def measure(stage: Stage) -> Iterator[Measurement]:
    yield from scale_workers.measure(stage)
    size = QUICK if stage.quick else FULL
    _empty(stage)
    filled = _fill(size)
    clients = [_client(f"person-{number}") for number in range(scale_web.PEOPLE)]
    yield from scale_lists.measure(clients[0], filled, size.jobs, size.drift)
    yield from scale_web.measure(stage, filled, [_cookie(client) for client in clients])
    _empty(stage)


def _empty(stage: Stage) -> None:
    connections.close_all()
    stage.set_up_console()


def _fill(size: Size) -> Filled:
    """The rows are made by the server, one statement for each kind: neither Python nor the wire has a part in it."""
    begin = perf_counter()
    filled = fill(size)
    fill_history(size.jobs)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("SELECT pg_size_pretty(pg_database_size(current_database()))")
        (room,) = cursor.fetchone()
    say(f"A console of {size.jobs:,} jobs and {size.drift:,} drift rows took {perf_counter() - begin:.0f} s: {room}.")
    return filled


def _client(name: str) -> Client:
    """A person who may do everything an operator may, logged in."""
    from django.contrib.auth.models import Group
    from django.test import Client

    from opsconsole.models import User

    person = User.objects.create_user(name, "", "a long pass phrase")
    person.groups.add(Group.objects.get(name=ROLE))
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(person)
    return client


def _cookie(client: Client) -> str:
    return "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())
