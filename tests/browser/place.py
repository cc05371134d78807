"""A whole console of the browser tests' own: servers, company, web, workers, clock and indexer, as `make demo` has it.

Nothing is shared with other tests: the databases are on a server of their own.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from opsconsole.demo.company import Size
from opsconsole.demo.drift import count_drift
from opsconsole.demo.founding import Plan
from opsconsole.demo.logins import login_passwords
from opsconsole.demo.processes import wait_until
from opsconsole.demo.servers import GIVEN
from opsconsole.demo.stack import Stack, Wish

COMPANY = Size(organizations=48, tasks=4_000, largest=400)
PATIENCE = 30.0
APPROVED_ALONE = 25
"""Organizations that one person may sync."""
CONFIRMED_MINUTES = 120
"""Logins are made once for all tests, and a busy machine may take long for these."""
FIRST_WINDOW = datetime(2020, 5, 1, 12, 0, tzinfo=UTC)  # before the company's own history: nothing else is in there
WINDOW = timedelta(minutes=10)

LOSE = """
UPDATE tasks SET status = 'completed', version = version + 1, updated_at = %(at)s
WHERE id IN (
    SELECT id FROM (
        SELECT id, row_number() OVER (PARTITION BY organization_id ORDER BY id) AS place FROM tasks
        WHERE organization_id = ANY(%(organizations)s) AND deleted_at IS NULL AND status <> 'completed'
    ) AS active WHERE place <= %(each)s
)
"""
WITH_ACTIVE_TASKS = """
SELECT organization_id FROM tasks WHERE deleted_at IS NULL AND status IN ('waiting', 'in_progress')
GROUP BY 1 HAVING count(*) >= 6 ORDER BY count(*), 1
"""


@dataclass(frozen=True, slots=True)
class Damage:
    """Tasks whose messages were lost: completed in the source, active in the index. The window is half-open."""

    organizations: tuple[UUID, ...]
    tasks: int
    start: str
    end: str


class Console:
    """A started stack, and what a test asks or does behind the browser's back."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._windows = 0
        self.address = stack.address.rstrip("/")
        self.passwords = login_passwords(stack.folder)
        addresses = stack.servers.addresses
        self._console_url = addresses.database_url
        self._source_url, self._index_url = addresses.source_url, addresses.index_url
        self._source_owner_url = addresses.source_owner_url
        with psycopg.connect(self._source_url) as source:
            self._organizations = iter([row[0] for row in source.execute(WITH_ACTIVE_TASKS)])

    def take(self, count: int) -> tuple[UUID, ...]:
        """Organizations that no other test uses, each with six active tasks at least."""
        taken = tuple(next(self._organizations, None) for _ in range(count))
        assert None not in taken, "the company is too small for all tests"
        return tuple(organization for organization in taken if organization)

    def all_organizations(self) -> list[UUID]:
        with psycopg.connect(self._source_url) as source:
            return [row[0] for row in source.execute("SELECT id FROM organizations ORDER BY id")]

    def lose(self, organizations: Sequence[UUID], each: int) -> Damage:
        """Complete `each` tasks of each organization and tell nobody, in a window that holds nothing else."""
        start = FIRST_WINDOW + self._windows * WINDOW
        self._windows += 1
        values = {"organizations": list(organizations), "each": each, "at": start + WINDOW / 2}
        with psycopg.connect(self._source_owner_url) as source:
            tasks = source.execute(LOSE, values).rowcount
        return Damage(tuple(organizations), tasks, f"{start:%Y-%m-%d %H:%M:%S}", f"{start + WINDOW:%Y-%m-%d %H:%M:%S}")

    def lose_just_now(self, organizations: Sequence[UUID], each: int) -> int:
        """The same a few minutes ago, in the midst of all that was updated. Returns how many tasks."""
        values = {"organizations": list(organizations), "each": each, "at": datetime.now(UTC) - timedelta(minutes=5)}
        with psycopg.connect(self._source_owner_url) as source:
            return source.execute(LOSE, values).rowcount

    def drift(self) -> int:
        """Tasks on which source and index differ, counted by code that is not the console's."""
        return count_drift(self._source_url, self._index_url)

    def name_of(self, organization: UUID) -> str:
        with psycopg.connect(self._source_url) as source:
            row = source.execute("SELECT name FROM organizations WHERE id = %s", (organization,)).fetchone()
        assert row is not None
        return str(row[0])

    def ask(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows of a statement in the console's own database."""
        with psycopg.connect(self._console_url) as database:
            cursor = database.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def clear_staged(self) -> None:
        self.ask("DELETE FROM sync_stagedorganization")

    def job_of(self, organization: UUID) -> int:
        """The newest job of an organization."""
        return int(self.ask("SELECT max(id) FROM sync_job WHERE organization_id = %s", str(organization))[0][0])

    def state_of(self, job: int) -> str:
        return str(self.ask("SELECT state FROM sync_job WHERE id = %s", job)[0][0])

    def wait_for_state(self, job: int, state: str) -> None:
        wait_for(lambda: self.state_of(job) == state, f"job {job} is {state}")

    @contextmanager
    def source_that_hangs(self) -> Iterator[None]:
        """Nobody reads tasks at the source meanwhile: whoever tries waits, as at a server under too much load."""
        with psycopg.connect(self._source_owner_url) as source:
            source.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
            yield

    def kill_until_looping(self, job: int) -> None:
        """Kill each process that works on the job, as the kernel does without memory, until the console gives up."""
        killed: set[int] = set()

        def next_process() -> bool:
            running = self.ask("SELECT pid FROM sync_attempt WHERE job_id = %s AND outcome = 'running'", job)
            for (pid,) in running:
                if pid not in killed:
                    killed.add(pid)
                    os.kill(pid, signal.SIGKILL)
            return self.state_of(job) == "looping"

        wait_for(next_process, f"job {job} is looping")


def wait_for(condition: Callable[[], bool], what: str) -> None:
    assert wait_until(condition, PATIENCE), f"not within {PATIENCE:g} s: {what}"


@contextmanager
def running_console(folder: Path) -> Iterator[Console]:
    """Start everything in `folder`, which must be one that every user may enter, and stop it again."""
    outer = {name: value for name, value in os.environ.items() if name not in GIVEN}
    outer["APPROVAL_ABOVE_ORGANIZATIONS"] = str(APPROVED_ALONE)
    outer["ELEVATION_MINUTES"] = str(CONFIRMED_MINUTES)
    stack = Stack(Wish(folder, Plan(COMPANY, gap=0), port=0), say=lambda _: None, environment=outer)
    try:
        stack.start()
        yield Console(stack)
    finally:
        stack.stop()
