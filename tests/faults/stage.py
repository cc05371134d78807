"""The stage of a round: real servers and processes, each of which can be struck alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
import redis

from opsconsole.demo.broker import PARTITIONS
from opsconsole.demo.estate_file import TEXT
from opsconsole.demo.ports import accepts, free_port
from opsconsole.demo.postgres import Postgres
from opsconsole.demo.processes import Child, Command, wait_until
from opsconsole.demo.servers import EmbeddedServers
from tests.brokers.cluster import KafkaCluster
from tests.faults import fulldisk
from tests.faults.indexserver import IndexServer
from tests.faults.moments import Moments
from tests.faults.victims import is_stopped

BASE = Path(__file__).resolve().parents[2]
MANAGE = (sys.executable, str(BASE / "manage.py"))
TOPIC = "task-updates"
WORKERS = 3
CHUNK_ROWS = 10
START_PATIENCE = 60.0
SPLIT_TASKS = 100  # fewer than the larger organizations have
SPLIT_RANGES = 4
CHECK = f"""\
chunk_rows = {CHUNK_ROWS}
settle_time = "200ms"
verify_timeout = "60s"
"""


class TooSlowError(AssertionError):
    """Something that must happen did not, in time."""


@dataclass
class Stage:
    """Two PostgreSQL servers (the console's and the company's), Valkey, broker, HTTP index, and all processes of the
    console in `folder`. A context manager; nothing is left running.

    With `class_path`, Java's for Apache Kafka, three brokers of it take the messages; without, the embedded one.
    """

    folder: Path
    class_path: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    workers: list[Child] = field(default_factory=list)
    clocks: list[Child] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        try:
            self._start_servers()
            self._prepare_console()
            self._start_processes()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _start_servers(self) -> None:
        brokers = self._start_brokers() if self.class_path else {}
        self.servers = EmbeddedServers(self.folder / "company", fsync=False, environment=brokers)
        self.addresses = self._stack.enter_context(self.servers).addresses
        # With its writes flushed: what the console was told to be committed must be there after a crash.
        console = self.folder / "console"
        console.mkdir(mode=0o711)
        self.postgres = Postgres(console)
        self._stack.callback(self.postgres.stop)
        self.postgres.start()
        self.console_url = self.postgres.url("console", "console")
        self.index_server = IndexServer(self.addresses.index_url)
        self.index_server.start()
        self._stack.callback(self.index_server.stop)

    def _start_brokers(self) -> dict[str, str]:
        """Three, and the topic with its replicas on each. The servers' environment."""
        self.brokers = KafkaCluster(self.folder / "kafka", self.class_path, brokers=3)
        self._stack.callback(self.brokers.stop)
        self.brokers.start()
        self.brokers.create_topic(TOPIC, PARTITIONS)
        return {"KAFKA_BOOTSTRAP_SERVERS": self.brokers.bootstrap_servers}

    def _prepare_console(self) -> None:
        self.estate_path = self.folder / "estate.toml"
        self.write_estate()
        own = {
            "OPSCONSOLE_ENVIRONMENT": "development",
            "OPSCONSOLE_ESTATE": str(self.estate_path),
            "DJANGO_SETTINGS_MODULE": "opsconsole.settings",
            "PYTHONPATH": str(BASE),
            "PYTHONUNBUFFERED": "1",
        }
        addresses = self.addresses.environment() | {"DATABASE_URL": self.console_url}
        self.environment = {**os.environ, **own, **addresses, "HTTP_INDEX_URL": self.index_server.url}
        subprocess.run([*MANAGE, "migrate", "--verbosity", "0"], check=True, env=self.environment, cwd=BASE)
        self.moments = Moments(self.console_url)
        self.moments.install()
        data_folder = self.folder / "console" / "postgres" / "data"
        fulldisk.prepare(self.console_url, self.postgres.admin_url, data_folder)

    def write_estate(self, *, http_index: bool = False, split: bool = False) -> None:
        """Workers' children read it anew for each job, so it may change between rounds."""
        known = self.addresses.kafka_api_version
        kafka = (f'api_version = "{known}"\n' if known else "") + 'delivery_timeout = "5s"\n'
        text = TEXT.partition("[check]")[0].format(api_version=kafka) + f"[check]\n{CHECK}"
        if split:
            text += f"split_tasks = {SPLIT_TASKS}\nsplit_ranges = {SPLIT_RANGES}\n"
        if http_index:
            text = text.replace('adapter = "postgres"\nurl_env = "INDEX_DATABASE_URL"\ntable = "tasks"\n', HTTP_INDEX)
        self.estate_path.write_text(text, encoding="utf-8")

    def _start_processes(self) -> None:
        self.operator = Operator(self.environment)
        self._stack.callback(self.operator.close)
        self.port = free_port()
        web = ("-m", "gunicorn", "opsconsole.wsgi", "--bind", f"127.0.0.1:{self.port}", "--threads", "2")
        self.web = self._child("web", sys.executable, *web)
        self.clocks = [self._child(f"clock-{number}", *MANAGE, "clock") for number in (1, 2)]
        self.workers = [self._worker(number) for number in range(WORKERS)]
        for_indexer = {
            "INDEX_OWNER_DATABASE_URL": self.addresses.index_owner_url,
            "KAFKA_API_VERSION": self.addresses.kafka_api_version,
        }
        self.indexer = self._child("indexer", sys.executable, "-m", "opsconsole.demo.indexer", **for_indexer)
        self._stack.callback(self._stop_processes)
        for child in self.processes:
            child.start()
        self.wait("the console has started", self._ready, START_PATIENCE)

    def _worker(self, number: int) -> Child:
        return self._child(f"worker-{number + 1}", *MANAGE, "rqworker", "high", "default", "low")

    def _child(self, name: str, *arguments: str, **environment: str) -> Child:
        return Child(Command(name, arguments, environment=self.environment | environment, patience=30.0), self.folder)

    @property
    def console_processes(self) -> list[Child]:
        return [self.web, *self.clocks, *self.workers]

    @property
    def processes(self) -> list[Child]:
        return [self.indexer, *self.console_processes]

    def _stop_processes(self) -> None:
        for child in self.processes:
            child.send(signal.SIGCONT)
            child.send(signal.SIGTERM)
        for child in self.processes:
            child.stop()

    def ended(self) -> list[Child]:
        """Processes of the console that do not run."""
        return [child for child in self.console_processes if not child.alive]

    def start_again(self, *children: Child) -> None:
        """What a process manager does."""
        for child in children:
            if not child.alive:
                child.start()

    def _ready(self) -> bool:
        leading = self.sql("SELECT 1 FROM opsconsole_lease WHERE expires_at > now()")
        return bool(leading) and accepts(self.port) and self.workers_there() >= WORKERS

    def workers_there(self) -> int:
        """How many workers have said to the queue that they are there, and do not stand still."""
        with redis.Redis.from_url(self.addresses.redis_url) as queue:
            try:
                names = [str(name, "utf-8") for name in queue.smembers("rq:workers")]
            except redis.RedisError:
                return 0
        moving = [child for child in self.workers if not is_stopped(child.pid)]
        return sum(f".{child.pid}." in name for child in moving for name in names)

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """In the console's database, as its owner."""
        with psycopg.connect(self.console_url, autocommit=True, application_name="faults") as console:
            cursor = console.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def wait(self, what: str, condition: Callable[[], bool], seconds: float) -> float:
        """Until the condition holds. Returns how long that took; raises TooSlowError."""
        begun = time.monotonic()
        if not wait_until(condition, seconds):
            raise TooSlowError(f"not within {seconds:g} s: {what}")
        return time.monotonic() - begun

    def logs(self) -> str:
        """The end of each process's log."""
        logs = sorted(self.folder.glob("**/logs/*.log"))
        return "\n".join(f"--- {log.name}\n" + "\n".join(log.read_text().splitlines()[-15:]) for log in logs)


HTTP_INDEX = 'adapter = "http"\nurl_env = "HTTP_INDEX_URL"\n'


class Operator:
    """The process of `tests.faults.operator`."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.operator"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=BASE,
        )

    def run(self, *arguments: str, given: str = "") -> dict[str, Any]:
        """A command of the console; its answer. Raises AssertionError where it failed."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"arguments": arguments, "given": given}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert "error" not in answer, (arguments, answer)
        return answer

    def close(self) -> None:
        with self._process:
            assert self._process.stdin
            self._process.stdin.close()
