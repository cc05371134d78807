"""What benchmarks stand on: embedded servers, a migrated console of their own, and companies made on demand."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import psycopg
from psycopg import sql

from opsconsole.demo.addresses import ServerAddresses
from opsconsole.demo.estate_file import TEXT
from opsconsole.demo.postgres import binaries
from opsconsole.demo.processes import Child, Command, wait_until
from opsconsole.demo.servers import EmbeddedServers
from opsconsole.demo.sizes import Layout, make_company
from opsconsole.demo.spread import spread_drift

BASE = Path(__file__).resolve().parents[1]
MANAGE = (sys.executable, str(BASE / "manage.py"))
KEPT = BASE / ".cache" / "bench"
COMPARED = ("status", "updated_at", "version")


@dataclass(frozen=True)
class Company:
    """A company's databases, for the roles that read them and for those that own them."""

    layout: Layout
    source_url: str
    index_url: str
    source_owner_url: str
    index_owner_url: str

    def spread_drift(self, organization: UUID, share: float) -> int:
        return spread_drift(self.source_owner_url, self.index_owner_url, organization, share)


class Stage:
    """`quick`: small sizes and few repeats, to see that everything works; the goals are meant for the full ones."""

    def __init__(self, folder: Path, servers: ServerAddresses, *, quick: bool) -> None:
        self.folder = folder
        self.servers = servers
        self.quick = quick

    @property
    def repeats(self) -> int:
        return int(os.environ.get("REPEATS", "2" if self.quick else "5"))

    @property
    def few_repeats(self) -> int:
        """Of what is only shown, or takes longest and is far from its goal."""
        return min(self.repeats, 3)

    def scaled(self, tasks: int) -> int:
        """A number of tasks, or a twentieth of it where it must be quick."""
        return tasks // 20 if self.quick else tasks

    def set_up_console(self) -> None:
        """A console without a row, whatever an earlier run left. Django works from here on."""
        import django
        from django.core.management import call_command

        self._create_database("console", "console")
        django.setup()
        logging.getLogger("kafka").setLevel(logging.ERROR)  # it warns whenever another process has the processor
        call_command("migrate", verbosity=0)

    def company(self, name: str, layout: Layout) -> Company:
        """The company of this name, made now where it is not there yet."""
        addresses = self.servers
        company = Company(
            layout,
            source_url=_at(addresses.source_url, f"{name}_source"),
            index_url=_at(addresses.index_url, f"{name}_index"),
            source_owner_url=_at(addresses.source_owner_url, f"{name}_source"),
            index_owner_url=_at(addresses.index_owner_url, f"{name}_index"),
        )
        if not self._has_database(f"{name}_made"):
            say(f"Making a company of {layout.tasks:,} tasks ...")
            for side in ("source", "index"):
                self._create_side(name, side)
            make_company(company.source_owner_url, company.index_owner_url, layout)
            self._create_database(f"{name}_made", "postgres")
        return company

    def use(self, company: Company, compared: tuple[str, ...] = COMPARED, **check: str | int) -> None:
        """Make the company this process's estate, and that of the processes it starts. `check`: values of [check]."""
        from django.conf import settings

        from opsconsole import estate

        head, _, _ = TEXT.partition("[check]")
        text = head.format(api_version='api_version = "2.3"\n')
        text = text.replace('["status", "title", "assignee_id", "due_at"]', str(list(compared)).replace("'", '"'))
        text = text.replace('statement_timeout = "30s"', 'statement_timeout = "120s"')
        lines = [f"{name} = {json.dumps(value)}\n" for name, value in check.items()]
        path = self.folder / "estate.toml"
        path.write_text(f"{text}[check]\n{''.join(lines)}", encoding="utf-8")
        os.environ |= {
            "SOURCE_DATABASE_URL": company.source_url,
            "INDEX_DATABASE_URL": company.index_url,
            "OPSCONSOLE_ESTATE": str(path),
        }
        settings.ESTATE = str(path)
        estate.reset()

    @contextmanager
    def worker(self, name: str = "worker") -> Iterator[Child]:
        """One worker process of the queue `default`, up and waiting."""
        from django_rq import get_queue
        from rq import Worker

        child = Child(Command(name, (*MANAGE, "rqworker", "default"), environment=dict(os.environ)), self.folder)
        connection = get_queue("default").connection
        before = Worker.count(connection=connection)
        child.start()
        try:
            wait_for(lambda: Worker.count(connection=connection) > before, "the worker is up")
            yield child
        finally:
            child.stop()

    def psql(self, url: str, statement: str) -> subprocess.Popen[bytes]:
        """The bundled psql with one statement, its output thrown away."""
        arguments = (str(binaries() / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", statement)
        return subprocess.Popen(arguments, stdout=subprocess.DEVNULL)

    def _has_database(self, name: str) -> bool:
        with psycopg.connect(self.servers.admin_url) as admin:
            return admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is not None

    def _create_database(self, name: str, owner: str) -> None:
        with psycopg.connect(self.servers.admin_url, autocommit=True) as admin:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(owner)))

    def _create_side(self, name: str, side: str) -> None:
        owner, reader = {"source": ("company", "source_reader"), "index": ("indexer", "index_reader")}[side]
        self._create_database(f"{name}_{side}", owner)
        with psycopg.connect(_at(self.servers.admin_url, f"{name}_{side}"), autocommit=True) as made:
            made.execute(
                sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {} GRANT SELECT ON TABLES TO {}").format(
                    sql.Identifier(owner), sql.Identifier(reader)
                )
            )


def wait_for(condition: Callable[[], bool], what: str, patience: float = 120.0) -> None:
    """Raises TimeoutError."""
    if not wait_until(condition, patience):
        raise TimeoutError(f"Not within {patience:g} s: {what}")


def finish(processes: list[subprocess.Popen[bytes]]) -> None:
    """Wait for all. Raises CalledProcessError for one that failed."""
    for process in processes:
        if status := process.wait():
            raise subprocess.CalledProcessError(status, process.args)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _at(url: str, name: str) -> str:
    return f"{url.rpartition('/')[0]}/{name}"


@contextmanager
def open_stage(*, quick: bool, keep: bool) -> Iterator[Stage]:
    """Servers in a folder of their own, gone at the end; with `keep` they and their data are found again next time."""
    with ExitStack() as stack:
        folder = KEPT / ("quick" if quick else "full")
        if not keep:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="opsconsole-bench-")))
        servers = stack.enter_context(EmbeddedServers(folder)).addresses
        os.environ |= servers.environment() | {"DJANGO_SETTINGS_MODULE": "opsconsole.settings", "LOG_LEVEL": "ERROR"}
        stage = Stage(folder, servers, quick=quick)
        stage.set_up_console()
        yield stage
