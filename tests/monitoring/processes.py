"""Workers and clocks as real processes on the test's own database and queue."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from django.db import connection

from opsconsole.demo.addresses import ServerAddresses
from opsconsole.demo.processes import Child, Command, wait_until
from tests.company import at_database

BASE = Path(__file__).resolve().parents[2]
PATIENCE = 30.0


def running(name: str, servers: ServerAddresses, folder: Path, *arguments: str) -> AbstractContextManager[Child]:
    """`manage.py ARGUMENTS` for as long as the block."""
    return python(name, servers, folder, str(BASE / "manage.py"), *arguments)


@contextmanager
def python(name: str, servers: ServerAddresses, folder: Path, *arguments: str) -> Iterator[Child]:
    """`python ARGUMENTS` on the test's database and queue, for as long as the block."""
    environment = {
        **os.environ,
        "OPSCONSOLE_ENVIRONMENT": "development",
        "DJANGO_SETTINGS_MODULE": "opsconsole.settings",
        "PYTHONPATH": str(BASE),
        "DATABASE_URL": at_database(servers.database_url, str(connection.settings_dict["NAME"])),
    }
    command = Command(name, (sys.executable, *arguments), environment=environment)
    child = Child(command, folder)
    child.start()
    try:
        yield child
    finally:
        child.stop()


def worker(name: str, servers: ServerAddresses, folder: Path, *queues: str) -> AbstractContextManager[Child]:
    return running(name, servers, folder, "rqworker", *(queues or ("high", "default", "low")))


def wait_for(condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    assert wait_until(condition, seconds), f"not within {seconds:g} s: {what}"
