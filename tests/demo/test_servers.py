"""The embedded servers: what each role may do, and that nothing outlives its owner."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis
from django.db import connections

from opsconsole.demo.addresses import ServerAddresses, write_private
from opsconsole.demo.company import create_schema, drop_schema
from opsconsole.demo.processes import MARK, OwnerLock, end_leftover, identity, marked, wait_until
from opsconsole.demo.servers import EmbeddedServers
from opsconsole.errors import UsageError

OWNER = """
import json, signal, sys
from pathlib import Path
from opsconsole.demo.servers import EmbeddedServers
servers = EmbeddedServers(Path(sys.argv[1]), fsync=False)
servers.start()
print(json.dumps(servers.process_ids), flush=True)
signal.pause()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="opsconsole-servers-") as name:
        yield Path(name)


@pytest.fixture
def company(servers: ServerAddresses) -> Iterator[ServerAddresses]:
    create_schema(servers.source_owner_url, servers.index_owner_url)
    yield servers
    drop_schema(servers.source_owner_url, servers.index_owner_url)


def processes_of(folder: Path) -> list[int]:
    """Every process that was started for the folder."""
    numbers = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]
    return [number for number in numbers if identity(number) and marked(number, folder)]


@pytest.mark.parametrize("side", ["source", "index"])
def test_the_reader_of_a_side_reads_and_does_nothing_else(company: ServerAddresses, side: str) -> None:
    url = company.source_url if side == "source" else company.index_url
    with psycopg.connect(url, autocommit=True) as reader:
        assert reader.execute("SELECT count(*) FROM tasks").fetchone() == (0,)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            reader.execute("DELETE FROM tasks")
        reader.execute("SET default_transaction_read_only = off")
        for statement in ("DELETE FROM tasks", "CREATE TABLE mine (id int)", "CREATE TEMP TABLE mine (id int)"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(statement)


def test_roles_reach_only_their_own_database(servers: ServerAddresses) -> None:
    urls = {"console": servers.database_url, "source": servers.source_url, "index": servers.index_url}
    for own, url in urls.items():
        for other in urls.keys() - {own}:
            with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                psycopg.connect(url, dbname=other)


def test_a_wrong_password_is_refused(servers: ServerAddresses) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(servers.database_url, password="guess")


def test_restarted_servers_keep_their_addresses(embedded_servers: EmbeddedServers) -> None:
    before = embedded_servers.addresses
    connections.close_all()  # of this process, for the tests that come after
    embedded_servers.restart_postgres()
    embedded_servers.restart_valkey()
    embedded_servers.restart_broker()
    assert embedded_servers.addresses == before
    psycopg.connect(before.database_url).close()
    with redis.Redis.from_url(before.redis_url) as client:
        assert client.ping()


def test_stop_leaves_no_process_and_a_second_start_finds_the_data(folder: Path) -> None:
    servers = EmbeddedServers(folder, fsync=False)
    create_schema(servers.start().source_owner_url, servers.addresses.index_owner_url)
    started = servers.process_ids
    servers.stop()
    assert [name for name, pid in started.items() if identity(pid)] == []
    assert processes_of(folder) == []

    with EmbeddedServers(folder, fsync=False) as again, psycopg.connect(again.addresses.source_url) as reader:
        assert reader.execute("SELECT count(*) FROM tasks").fetchone() == (0,)


def test_a_folder_from_before_a_role_gets_the_role_at_the_next_start(folder: Path) -> None:
    with EmbeddedServers(folder, fsync=False) as servers, psycopg.connect(servers.addresses.admin_url) as admin:
        admin.execute("REVOKE ALL ON DATABASE source FROM capture_writer")
        admin.execute("DROP ROLE capture_writer")
    kept = json.loads((folder / "secrets.json").read_text())
    write_private(folder / "secrets.json", json.dumps({role: kept[role] for role in kept if role != "capture_writer"}))

    with EmbeddedServers(folder, fsync=False) as again, psycopg.connect(again.addresses.captures_url) as writer:
        assert writer.execute("SELECT current_user").fetchone() == ("capture_writer",)
        psycopg.connect(again.addresses.source_url).close()  # those that were there keep their passwords


def test_secrets_are_readable_by_their_owner_only(embedded_servers: EmbeddedServers) -> None:
    assert (embedded_servers.folder / "secrets.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_servers_end_with_an_owner_that_was_killed(folder: Path, end: signal.Signals) -> None:
    owner = start_owner(folder)
    started = json.loads(owner.stdout.readline()) if owner.stdout else {}
    assert set(started) == {"postgres", "valkey", "broker"}
    finish(owner, end)
    assert wait_until(lambda: not any(identity(pid) for pid in started.values()), 10)

    with EmbeddedServers(folder, fsync=False) as servers:
        psycopg.connect(servers.addresses.database_url).close()


def test_leftovers_of_an_owner_that_vanished_are_ended_at_the_next_start(folder: Path) -> None:
    vanished = EmbeddedServers(folder, fsync=False)
    vanished.start()
    left = vanished.process_ids
    assert vanished._lock is not None
    vanished._lock.free()  # as the kernel does for an owner that was killed
    with EmbeddedServers(folder, fsync=False) as servers:
        assert [name for name, pid in left.items() if identity(pid)] == []
        psycopg.connect(servers.addresses.database_url).close()
    vanished.stop()


def test_a_leftover_that_ignores_its_signal_is_killed(folder: Path) -> None:
    deaf = subprocess.Popen(
        [sys.executable, "-c", "import signal; signal.signal(15, signal.SIG_IGN); print(flush=True); signal.pause()"],
        env={**os.environ, MARK: str(folder)},
        start_new_session=True,
        stdout=subprocess.PIPE,
    )
    assert deaf.stdout
    deaf.stdout.readline()
    pid_file = folder / "deaf"
    pid_file.write_text(identity(deaf.pid))
    end_leftover(pid_file, folder, signal.SIGTERM, patience=0.2)
    assert deaf.wait(1) == -signal.SIGKILL
    assert not pid_file.exists()
    deaf.stdout.close()


def test_a_number_that_belongs_to_somebody_else_by_now_is_left_alone(folder: Path) -> None:
    stranger = subprocess.Popen(["sleep", "60"])
    pid_file = folder / "server"
    pid_file.write_text(f"{stranger.pid} 1 another-boot")
    end_leftover(pid_file, folder, signal.SIGTERM, patience=0.2)
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_a_folder_has_one_owner(embedded_servers: EmbeddedServers) -> None:
    second = EmbeddedServers(embedded_servers.folder, fsync=False)
    with pytest.raises(UsageError, match="in use by another process"):
        second.start()
    assert identity(embedded_servers.process_ids["postgres"])


def test_the_lock_is_free_again_after_its_owner(folder: Path) -> None:
    first, second = OwnerLock(folder), OwnerLock(folder)
    first.take()
    first.free()
    second.take()
    second.free()


def test_given_servers_are_used_and_not_started(folder: Path, servers: ServerAddresses) -> None:
    given = servers.environment() | {
        "SOURCE_OWNER_DATABASE_URL": servers.source_owner_url,
        "INDEX_OWNER_DATABASE_URL": servers.index_owner_url,
    }
    with EmbeddedServers(folder, environment=given) as used:
        assert used.process_ids == {}
        assert used.addresses.environment() == servers.environment()
        assert used.addresses.admin_url == ""
        assert used.addresses.kafka_api_version == ""


@pytest.mark.parametrize("side", ["SOURCE", "INDEX"])
def test_a_given_side_needs_its_owner_too(folder: Path, side: str) -> None:
    with pytest.raises(UsageError, match=f"{side}_OWNER_DATABASE_URL is not"):
        EmbeddedServers(folder, environment={f"{side}_DATABASE_URL": "postgresql://elsewhere/db"})


def start_owner(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", OWNER, str(folder)], stdout=subprocess.PIPE, text=True)


def finish(owner: subprocess.Popen[str], number: signal.Signals) -> None:
    owner.send_signal(number)
    owner.wait(10)
    if owner.stdout:
        owner.stdout.close()
