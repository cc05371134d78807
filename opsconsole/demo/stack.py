"""The whole demonstration: servers, company, console. Started in order, watched, stopped in the opposite order."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from opsconsole.demo.addresses import ServerAddresses, write_private
from opsconsole.demo.estate_file import MONITOR, write_estate
from opsconsole.demo.founding import Plan, describe_gap, found_company, quiet_organization
from opsconsole.demo.gap import Gap
from opsconsole.demo.logins import login_passwords
from opsconsole.demo.ports import accepts, free_port
from opsconsole.demo.processes import Child, Command, python_path, wait_until
from opsconsole.demo.servers import EmbeddedServers
from opsconsole.errors import UnavailableError

BASE = Path(__file__).resolve().parents[2]
MANAGE = (sys.executable, str(BASE / "manage.py"))
DEFAULT_PORT = 8000
RUNNING = "running.json"
WATCH_EVERY = 1.0
RESTART_EVERY = 5.0
WEB_PATIENCE = 30.0
WORKER_PATIENCE = 30.0  # a worker told to stop finishes its chunk first
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wish:
    """What the operator asked for on the command line."""

    folder: Path
    plan: Plan = field(default_factory=Plan)
    port: int = DEFAULT_PORT


class Stack:
    """Start with `start`, then `watch` until a signal, then `stop`; `stop` is safe at any point."""

    def __init__(self, wish: Wish, say: Say, environment: Mapping[str, str] = os.environ) -> None:
        self.wish = wish
        self._say = say
        self._outer = dict(environment)
        self.servers = EmbeddedServers(wish.folder, environment=environment)
        self.folder = self.servers.folder
        self.port = self.mail_port = 0
        self.gap: Gap | None = None
        self.environment: dict[str, str] = {}
        self.children: list[Child] = []
        self._restarted: dict[str, float] = {}

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Everything up to running processes. A second start in the same folder finds the same data."""
        self._say("Starting PostgreSQL, Valkey and the Kafka broker ...")
        addresses = self.servers.start()
        (self.folder / RUNNING).unlink(missing_ok=True)  # of an owner that was killed
        self.environment = self._child_environment(addresses)
        self.gap = found_company(self.folder, addresses, self.wish.plan, self._say)
        quiet = quiet_organization(addresses.source_owner_url, self.gap)
        write_estate(self.folder, addresses.kafka_api_version, str(quiet))
        self._say("Preparing the console's database ...")
        self.run_manage("migrate", "--verbosity", "0")
        self._make_logins()
        self._say("Starting web, two workers, clock, indexer, uploads and mail ...")
        self.port = free_port(self.wish.port)
        self._make_channel()
        self.children = [Child(command, self.folder) for command in self._commands(addresses)]
        for child in self.children:
            child.start()
        if not wait_until(lambda: accepts(self.port), WEB_PATIENCE):
            raise UnavailableError(f"The web process did not start; its log is {self.folder / 'logs' / 'web.log'}.")
        self.write_running()

    def _child_environment(self, addresses: ServerAddresses) -> dict[str, str]:
        """The console's processes see the servers, the estate and development settings, and no owner's password."""
        estate = write_estate(self.folder, addresses.kafka_api_version)
        inherited = {k: v for k, v in self._outer.items() if not k.endswith("_OWNER_DATABASE_URL")}
        console = {
            "OPSCONSOLE_ENVIRONMENT": "development",
            "OPSCONSOLE_ESTATE": str(estate),
            "DJANGO_SETTINGS_MODULE": "opsconsole.settings",
            "PYTHONPATH": python_path(self._outer),
            "PYTHONUNBUFFERED": "1",
            "OPSCONSOLE_OUTGOING_ALLOW": "127.0.0.0/8, ::1",  # a channel or a scheduled call to try things out
        }
        return inherited | console | addresses.environment()

    def run_manage(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run a management command against the demonstration and wait for it; its exit status is the caller's to judge
        but for `migrate`, without which nothing goes on."""
        done = subprocess.run(
            [*MANAGE, *arguments],
            check=False,
            input=given,
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=BASE,
        )
        if done.returncode and arguments[0] == "migrate":
            raise UnavailableError(f"The console's database could not be prepared: {last_line(done.stderr)}")
        return done

    def _make_logins(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "opsconsole.demo.logins"],
            check=False,
            input=json.dumps(login_passwords(self.folder)),
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=BASE,
        )
        if done.returncode:
            raise UnavailableError(f"The logins could not be made: {last_line(done.stderr)}")

    def _ping_url(self) -> str:
        """Where the uploads service says that it has swept. Empty where the estate could not be taken over."""
        self.run_manage("scheduled_jobs", "load")
        listed = self.run_manage("monitors", "--json").stdout.splitlines()
        monitors = json.loads(listed[-1])["monitors"] if listed else []
        path = next((one["path"] for one in monitors if one["name"] == MONITOR), "")
        return f"http://127.0.0.1:{self.port}{path}" if path else ""

    def _make_channel(self) -> None:
        """Alerts go to the company's own mail server. At a second start there is the channel already."""
        self.mail_port = free_port()
        self.environment |= {
            "CONSOLE_URL": self.address,
            "ALERT_OPERATORS": "operators@company.example",
            "EMAIL_HOST": "127.0.0.1",
            "EMAIL_PORT": str(self.mail_port),
            "EMAIL_USE_TLS": "off",
        }
        self.run_manage("channels", "add", "On call", "email", "on-call@company.example")

    def _commands(self, addresses: ServerAddresses) -> list[Command]:
        worker = (*MANAGE, "rqworker", "high", "default", "low")
        web = (
            "-m",
            "gunicorn",
            "opsconsole.wsgi",
            "--bind",
            f"127.0.0.1:{self.port}",
            "--threads",
            "4",
            "--workers",
            "2",
        )
        for_indexer = {
            "INDEX_OWNER_DATABASE_URL": addresses.index_owner_url,
            "KAFKA_API_VERSION": addresses.kafka_api_version,
        }
        indexer = (sys.executable, "-m", "opsconsole.demo.indexer")
        uploads = (sys.executable, "-m", "opsconsole.demo.uploads")
        for_uploads = {"SOURCE_OWNER_DATABASE_URL": addresses.source_owner_url, "PING_URL": self._ping_url()}
        mail = (sys.executable, "-m", "opsconsole.demo.mail", str(self.mail_port))
        return [
            Command("indexer", indexer, environment=self.environment | for_indexer),
            Command("uploads", uploads, environment=self.environment | for_uploads),
            Command("mail", mail, environment=self.environment),
            Command("worker-1", worker, environment=self.environment, patience=WORKER_PATIENCE),
            Command("worker-2", worker, environment=self.environment, patience=WORKER_PATIENCE),
            Command("clock", (*MANAGE, "clock"), environment=self.environment),
            Command("web", (sys.executable, *web), environment=self.environment),
        ]

    def write_running(self) -> None:
        """`running.json`: all that a script needs to use the demonstration, passwords too: only its owner reads it."""
        addresses, gap = self.servers.addresses, self.gap
        processes = self.servers.process_ids | {child.command.name: child.pid for child in self.children}
        running = {
            "address": self.address,
            "logins": login_passwords(self.folder),
            "databases": {
                "console": addresses.database_url,
                "source": addresses.source_url,
                "source_owner": addresses.source_owner_url,
                "captures": addresses.captures_url,
                "index": addresses.index_url,
                "index_owner": addresses.index_owner_url,
            },
            "redis": addresses.redis_url,
            "broker": addresses.kafka_bootstrap,
            "estate": self.environment["OPSCONSOLE_ESTATE"],
            "processes": {"demo": os.getpid()} | processes,
            "gap": describe_gap(gap) if gap else None,
        }
        write_private(self.folder / RUNNING, json.dumps(running, indent=2) + "\n")

    def watch(self) -> None:
        """For ever: say which process ended and start it again. Raises UnavailableError when the broker ended."""
        while True:
            time.sleep(WATCH_EVERY)
            self._revive_servers()
            dead = [child for child in self.children if not child.alive and self._may_restart(child)]
            for child in dead:
                self._say(
                    f"{child.command.name} ended with {child.exit_status}; starting it again (log: {child.log_path})"
                )
                child.start()
            if dead:
                self.write_running()

    def _revive_servers(self) -> None:
        servers = self.servers
        if servers.kafka and not servers.kafka.child.alive:
            raise UnavailableError("The broker ended, and with it its records; start the demonstration again.")
        if servers.postgres and not servers.postgres.child.alive:
            self._say("PostgreSQL ended; starting it again.")
            servers.start_postgres()
        if servers.valkey and not servers.valkey.child.alive:
            self._say("Valkey ended; starting it again.")
            servers.start_valkey()

    def _may_restart(self, child: Child) -> bool:
        """Not more often than every five seconds: a process that cannot start should not fill its log."""
        now = time.monotonic()
        if now - self._restarted.get(child.command.name, -RESTART_EVERY) < RESTART_EVERY:
            return False
        self._restarted[child.command.name] = now
        return True

    def stop(self) -> None:
        """End everything, all told at once, and return when nothing is left."""
        for child in self.children:
            child.send(child.command.stop_signal)
        for child in reversed(self.children):
            child.stop()
        (self.folder / RUNNING).unlink(missing_ok=True)
        self.servers.stop()


def last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no reason was given."
