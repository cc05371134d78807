"""A console of real processes, for tests of what killing and stopping them costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from opsconsole.demo.addresses import ServerAddresses
from opsconsole.demo.company import Size, create_schema, populate
from opsconsole.demo.processes import Child, Command, wait_until
from tests.company import (
    Company,
    Record,
    at_database,
    create_company_databases,
    drop_company_databases,
    read_topic,
    run_sql,
    write_test_estate,
)

BASE = Path(__file__).resolve().parents[2]
MANAGE = (sys.executable, str(BASE / "manage.py"))
PATIENCE = 60.0
COUNTERS = ("scanned", "stale", "missing", "orphan")


@dataclass
class Console:
    """A console of real processes with databases of its own, in `folder`."""

    folder: Path
    company: Company
    environment: dict[str, str]
    database_url: str
    redis_url: str
    bootstrap: str
    topic: str
    admin_url: str

    def run(self, *arguments: str, given: str = "", **environment: str) -> dict[str, Any]:
        """A command to its end, which must be a good one; the JSON object of its last line."""
        done = subprocess.run(
            [*MANAGE, *arguments, "--json"],
            check=False,
            input=given,
            capture_output=True,
            text=True,
            env=self.environment | environment,
            cwd=BASE,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, f"{arguments}: {done.stderr}\n{self.logs()}"
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer

    @contextmanager
    def process(self, name: str, *arguments: str, **environment: str) -> Iterator[Child]:
        """A process for as long as the block; whatever is left of its session then is ended."""
        child = Child(Command(name, arguments, environment=self.environment | environment), self.folder)
        child.start()
        try:
            yield child
        finally:
            child.stop()

    def worker(self, name: str = "worker") -> Any:
        return self.process(name, *MANAGE, "rqworker", "high", "default", "low")

    def command(self, *arguments: str) -> Any:
        """A command of the console in the background."""
        return self.process(arguments[0], *MANAGE, *arguments)

    @contextmanager
    def held_to(self, rate: int) -> Iterator[None]:
        """Publishing is held to so many messages a second, so that there is time to act on a job."""
        estate = self.folder / "estate.toml"
        as_it_was = estate.read_text()
        estate.write_text(f"{as_it_was}\n[throttle]\nmessages_per_second = {rate}\n")
        try:
            yield
        finally:
            estate.write_text(as_it_was)

    def logs(self) -> str:
        tails = (f"--- {log.name}\n" + "\n".join(log.read_text().splitlines()[-25:]) for log in self._logs())
        return "\n".join(tails)

    def _logs(self) -> list[Path]:
        return sorted((self.folder / "logs").glob("*.log"))

    def job(self, number: int) -> dict[str, Any]:
        columns = f"state, worker, checkpoint, error, published, verified, unresolved, {', '.join(COUNTERS)}"
        values = run_sql(self.database_url, f"SELECT {columns} FROM sync_job WHERE id = %s", number)[0]  # noqa: S608
        return dict(zip(columns.split(", "), values, strict=True))

    def attempts(self, number: int) -> list[tuple[str, int]]:
        """Outcome and process of each attempt, the first one first."""
        rows = run_sql(self.database_url, "SELECT outcome, pid FROM sync_attempt WHERE job_id = %s ORDER BY id", number)
        return [(outcome, pid) for outcome, pid in rows]

    def wait(self, what: str, condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
        if not wait_until(condition, seconds):
            pytest.fail(f"not within {seconds:g} s: {what}\n{self.logs()}")

    def wait_for(self, number: int, state: str = "done") -> dict[str, Any]:
        self.wait(f"job {number} is {state}; it is {self.job(number)}", lambda: self.job(number)["state"] == state)
        return self.job(number)

    def wait_for_the_middle(self, number: int, total: int) -> int:
        """Until between 20 % and 80 % of the job's tasks are scanned. Returns the process that does it."""
        self.wait(f"job {number} is under way", lambda: self.job(number)["scanned"] > total * 0.2)
        scanned = self.job(number)["scanned"]
        assert scanned < total * 0.8, f"{scanned} of {total} were scanned before anybody could look"
        return self.attempts(number)[-1][1]

    def queue_sync(self, organization: UUID) -> int:
        """A job of mode sync in the queue, and its number."""
        self.run("stage_orgs", str(organization))
        batch = self.run("process_batch", "--size", "1", "--sync")
        return int(batch["jobs"][0]["job"])

    def messages_of(self, number: int) -> list[Record]:
        """What the job has published."""
        records = read_topic(self.bootstrap, self.topic)
        return [record for record in records if record.headers["job_id"] == str(number)]


@contextmanager
def running_console(
    servers: ServerAddresses, folder: Path, name: str, *, size: Size, limits: Mapping[str, object]
) -> Iterator[Console]:
    """A console with databases, topic and company of its own, and a clock. `limits` are the estate's `[check]`."""
    company = create_company_databases(servers, name)
    create_schema(company.source_owner_url, company.index_owner_url)
    populate(company.source_owner_url, company.index_owner_url, seed=8, size=size)
    with psycopg.connect(servers.admin_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}_console OWNER console".encode())
    made = _assemble(servers, company, folder, limits)
    subprocess.run([*MANAGE, "migrate", "--verbosity", "0"], check=True, env=made.environment, cwd=BASE)
    with made.process("clock", *MANAGE, "clock"):
        yield made
    drop_company_databases(servers, name)
    with psycopg.connect(servers.admin_url, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name}_console WITH (FORCE)".encode())


def _assemble(servers: ServerAddresses, company: Company, folder: Path, limits: Mapping[str, object]) -> Console:
    estate_path, topic = folder / "estate.toml", f"task-updates-{company.name}"
    write_test_estate(estate_path, topic, limits)
    database_url = at_database(servers.database_url, f"{company.name}_console")
    redis_url = servers.redis_url.removesuffix("/0") + "/7"
    own = {
        "OPSCONSOLE_ENVIRONMENT": "development",
        "OPSCONSOLE_ESTATE": str(estate_path),
        "DJANGO_SETTINGS_MODULE": "opsconsole.settings",
        "DATABASE_URL": database_url,
        "SOURCE_DATABASE_URL": company.source_url,
        "INDEX_DATABASE_URL": company.index_url,
        "REDIS_URL": redis_url,
        "KAFKA_BOOTSTRAP_SERVERS": servers.kafka_bootstrap,
        "PYTHONPATH": str(BASE),
        "PYTHONUNBUFFERED": "1",
    }
    environment = {**os.environ, **own}
    return Console(
        folder, company, environment, database_url, redis_url, servers.kafka_bootstrap, topic, servers.admin_url
    )
