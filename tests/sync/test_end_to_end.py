"""The main job through real processes: worker, clock, indexer and commands, and what killing them costs (nothing)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
import redis

from opsconsole.demo.addresses import ServerAddresses
from opsconsole.demo.company import Size, create_schema, populate
from opsconsole.demo.gap import Gap, make_gap
from opsconsole.demo.processes import Child, Command, identity, session_members, wait_until
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

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # kafka-python leaves sockets behind when it is closed
]

BASE = Path(__file__).resolve().parents[2]
MANAGE = (sys.executable, str(BASE / "manage.py"))
# Below the size from which an organization is walked in packed chunks, and in chunks so small that there are hundreds
# of them: time enough to be hit in the middle, and a bound on what may be published twice.
SIZE = Size(organizations=20, tasks=5_000, largest=1_700)
CHUNK_ROWS = 8
PATIENCE = 60.0
NAME = "end_to_end"
TOPIC = "task-updates-end-to-end"
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

    def run(self, *arguments: str, given: str = "") -> dict[str, Any]:
        """A command to its end, which must be a good one; the JSON object of its last line."""
        done = subprocess.run(
            [*MANAGE, *arguments, "--json"],
            check=False,
            input=given,
            capture_output=True,
            text=True,
            env=self.environment,
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
        records = read_topic(self.bootstrap, TOPIC)
        return [record for record in records if record.headers["job_id"] == str(number)]


@pytest.fixture(scope="module")
def console(servers: ServerAddresses, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    folder = tmp_path_factory.mktemp(NAME)
    company = create_company_databases(servers, NAME)
    create_schema(company.source_owner_url, company.index_owner_url)
    populate(company.source_owner_url, company.index_owner_url, seed=8, size=SIZE)
    with psycopg.connect(servers.admin_url, autocommit=True) as admin:
        admin.execute("CREATE DATABASE end_to_end_console OWNER console")
    made = assemble(servers, company, folder)
    subprocess.run([*MANAGE, "migrate", "--verbosity", "0"], check=True, env=made.environment, cwd=BASE)
    indexer = (sys.executable, "-m", "opsconsole.demo.indexer")
    names = {"INDEX_OWNER_DATABASE_URL": company.index_owner_url, "KAFKA_API_VERSION": "2.3"}
    with (
        made.process("clock", *MANAGE, "clock"),
        made.process("indexer", *indexer, **names, TASK_TOPIC=TOPIC, TASK_CONSUMER_GROUP=NAME),
    ):
        yield made
    drop_company_databases(servers, NAME)
    with psycopg.connect(servers.admin_url, autocommit=True) as admin:
        admin.execute("DROP DATABASE end_to_end_console WITH (FORCE)")


def assemble(servers: ServerAddresses, company: Company, folder: Path) -> Console:
    estate_path = folder / "estate.toml"
    limits = {"chunk_rows": CHUNK_ROWS, "settle_time": "0s", "verify_timeout": "30s"}
    write_test_estate(estate_path, TOPIC, limits)
    database_url = at_database(servers.database_url, "end_to_end_console")
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
    return Console(folder, company, {**os.environ, **own}, database_url, redis_url, servers.kafka_bootstrap)


_seeds = iter(range(100, 200))


def lose_messages(company: Company, *, organizations: int = 1, size: int = 120) -> Gap:
    return make_gap(company.source_owner_url, seed=next(_seeds), size=size, organizations=organizations)


@dataclass(frozen=True)
class Disturbed:
    """A sync job of the largest organization that is to be disturbed, and what an undisturbed check of it found."""

    number: int
    undisturbed: dict[str, int]
    lost: int

    @property
    def total(self) -> int:
        return self.undisturbed["scanned"]


@pytest.fixture
def disturbed(console: Console) -> Disturbed:
    gap = lose_messages(console.company)
    organization = console.company.organizations()[0]
    reported = console.run("check_org", str(organization))
    undisturbed = {name: reported[name] for name in COUNTERS}
    return Disturbed(console.queue_sync(organization), undisturbed, gap.lost)


def assert_as_undisturbed(console: Console, disturbed: Disturbed, *, open_chunk: int) -> None:
    """Done, every lost task published, no drift left, and the counters of an undisturbed run.

    `open_chunk` tasks may have been published by an attempt that died before it could commit them. The next attempt
    publishes those a second time, or finds that the indexer was quicker and does not count them.
    """
    job = console.wait_for(disturbed.number)
    found = sum(job[kind] for kind in COUNTERS if kind != "scanned")
    assert job["scanned"] == disturbed.total
    assert all(job[name] <= count for name, count in disturbed.undisturbed.items())
    assert 0 <= disturbed.lost - found <= open_chunk
    assert (job["published"], job["verified"], job["unresolved"]) == (found, found, 0)
    assert console.company.drift() == 0
    times = Counter(record.key for record in console.messages_of(disturbed.number))
    assert len(times) == disturbed.lost
    assert set(times.values()) <= {1, 2}
    assert sum(count == 2 for count in times.values()) <= open_chunk


def test_affected_stage_sync_verify(console: Console) -> None:
    """The main job as an operator does it: find, stage, check in a batch, republish, see the index catch up."""
    gap = lose_messages(console.company, organizations=6, size=200)
    assert console.company.drift() == gap.lost > 0
    window = ("--from", gap.window_from.isoformat(), "--to", gap.window_to.isoformat())
    found = console.run("affected_orgs", *window)["organizations"]
    ids = [row["id"] for row in found]
    assert {f"s-{organization}" for organization in gap.organizations} <= set(ids)
    assert console.run("stage_orgs", "-", given="\n".join(ids))["staged"] == len(ids)
    with console.worker():
        batch = console.run("process_batch", "--size", "50", "--sync", "--wait")
    totals = batch["totals"]
    assert (batch["state"], {job["state"] for job in batch["jobs"]}) == ("done", {"done"})
    assert totals["drift"] == totals["published"] == totals["verified"] == gap.lost
    assert totals["unresolved"] == 0
    assert console.company.drift() == 0


def test_a_killed_work_horse_costs_one_chunk_at_most(console: Console, disturbed: Disturbed) -> None:
    with console.worker() as worker:
        horse = console.wait_for_the_middle(disturbed.number, disturbed.total)
        assert horse in session_members(worker.pid)
        os.kill(horse, signal.SIGKILL)
        assert_as_undisturbed(console, disturbed, open_chunk=CHUNK_ROWS)
        assert worker.alive
    assert [outcome for outcome, _ in console.attempts(disturbed.number)] == ["killed", "done"]


def test_a_killed_worker_takes_its_horse_along_and_another_goes_on(console: Console, disturbed: Disturbed) -> None:
    """Found by the silence of its heartbeat; nobody is left to tell."""
    with console.worker("first-worker") as first:
        horse = console.wait_for_the_middle(disturbed.number, disturbed.total)
        first.kill()
        console.wait("the horse died with its parent", lambda: not identity(horse), 5)
    before = console.job(disturbed.number)
    assert before["scanned"] < disturbed.total
    with console.worker("second-worker"):
        assert_as_undisturbed(console, disturbed, open_chunk=CHUNK_ROWS)
    assert [outcome for outcome, _ in console.attempts(disturbed.number)] == ["vanished", "done"]


def test_a_stopped_worker_ends_at_a_checkpoint_and_another_goes_on(console: Console, disturbed: Disturbed) -> None:
    with console.worker("first-worker") as first:
        console.wait_for_the_middle(disturbed.number, disturbed.total)
        first.send(signal.SIGTERM)
        console.wait("the worker ended", lambda: not first.alive, 10)
        assert first.exit_status == 0, console.logs()
    stopped = console.job(disturbed.number)
    assert (stopped["state"], 0 < stopped["scanned"] < disturbed.total) == ("queued", True)
    begun = time.monotonic()
    with console.worker("second-worker"):
        assert_as_undisturbed(console, disturbed, open_chunk=0)
    assert time.monotonic() - begun < 30
    assert [outcome for outcome, _ in console.attempts(disturbed.number)] == ["hibernated", "done"]


def test_a_flushed_redis_loses_no_job(console: Console) -> None:
    gap = lose_messages(console.company, organizations=5, size=60)
    console.run("stage_orgs", *map(str, gap.organizations))
    jobs = [job["job"] for job in console.run("process_batch", "--sync")["jobs"]]
    assert len(jobs) == 5
    with redis.Redis.from_url(console.redis_url) as queue:
        queue.flushall()
        assert queue.dbsize() == 0
    with console.worker():
        for number in jobs:
            console.wait_for(number)
    assert console.company.drift() == 0
