"""All embedded servers of one folder, as one thing to start and stop. What the environment names is not started."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from opsconsole.demo.addresses import EMBEDDED_KAFKA_API_VERSION, ServerAddresses
from opsconsole.demo.kafka import Kafka
from opsconsole.demo.postgres import Postgres
from opsconsole.demo.processes import OwnerLock
from opsconsole.demo.valkey import Valkey
from opsconsole.errors import UsageError

DATABASES = ("DATABASE_URL", "SOURCE_DATABASE_URL", "INDEX_DATABASE_URL")
OWNERS = ("SOURCE_OWNER_DATABASE_URL", "INDEX_OWNER_DATABASE_URL")
GIVEN = (*DATABASES, *OWNERS, "CAPTURES_DATABASE_URL", "REDIS_URL", "KAFKA_BOOTSTRAP_SERVERS", "KAFKA_API_VERSION")


class EmbeddedServers:
    """PostgreSQL, Valkey and a Kafka broker on loopback, with their data in `folder`.

    `environment`: where DATABASE_URL, SOURCE_DATABASE_URL, INDEX_DATABASE_URL, REDIS_URL or KAFKA_BOOTSTRAP_SERVERS is
    set in it, that server is used and none started in its place; empty by default. The generator writes to source and
    index, so theirs also need SOURCE_OWNER_DATABASE_URL and INDEX_OWNER_DATABASE_URL. `fsync=False` is for tests.
    """

    def __init__(self, folder: Path, *, fsync: bool = True, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder.resolve()
        self._given = {name: value for name, value in (environment or {}).items() if name in GIVEN}
        self._fsync = fsync
        self._lock: OwnerLock | None = None
        self.postgres: Postgres | None = None
        self.valkey: Valkey | None = None
        self.kafka: Kafka | None = None
        self._refuse_half_given()

    def _refuse_half_given(self) -> None:
        for side in ("SOURCE", "INDEX"):
            if self._given.get(f"{side}_DATABASE_URL") and not self._given.get(f"{side}_OWNER_DATABASE_URL"):
                raise UsageError(
                    f"{side}_DATABASE_URL is set but {side}_OWNER_DATABASE_URL is not: the demonstration company is to "
                    f"be written there, so give a role that may create tables, or unset {side}_DATABASE_URL."
                )

    def start(self) -> ServerAddresses:
        """Start what is not given and say where everything is. On failure nothing is left running."""
        self.folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        lock = OwnerLock(self.folder)
        lock.take()
        self._lock = lock
        try:
            self.start_postgres()
            self.start_valkey()
            self.start_broker()
        except BaseException:
            self.stop()
            raise
        return self.addresses

    def stop(self) -> None:
        """Stop everything that was started. Returns when no process is left. Safe to call twice."""
        for server in (self.kafka, self.valkey, self.postgres):
            if server:
                server.stop()
        if self._lock:
            self._lock.free()
            self._lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _needs_postgres(self) -> bool:
        return not all(self._given.get(name) for name in DATABASES)

    def start_postgres(self) -> None:
        """Start PostgreSQL, again on the same port after `stop_postgres`. Nothing to do where all URLs are given."""
        if self._needs_postgres():
            self.postgres = self.postgres or Postgres(self.folder, fsync=self._fsync)
            self.postgres.start()

    def stop_postgres(self) -> None:
        if self.postgres:
            self.postgres.stop()

    def restart_postgres(self) -> None:
        self.stop_postgres()
        self.start_postgres()

    def start_valkey(self) -> None:
        """Start Valkey, empty; again on the same port after `stop_valkey`."""
        if not self._given.get("REDIS_URL"):
            self.valkey = self.valkey or Valkey(self.folder)
            self.valkey.start()

    def stop_valkey(self) -> None:
        if self.valkey:
            self.valkey.stop()

    def restart_valkey(self) -> None:
        self.stop_valkey()
        self.start_valkey()

    def start_broker(self) -> None:
        """Start the broker, or bring it back after `stop_broker` on the same port with the records it had."""
        if self._given.get("KAFKA_BOOTSTRAP_SERVERS"):
            return
        if self.kafka and self.kafka.child.alive:
            self.kafka.resume()
        else:
            self.kafka = Kafka(self.folder)
            self.kafka.start()

    def stop_broker(self) -> None:
        """Take the broker down for its clients; the process stays, because its records are in its memory."""
        if self.kafka:
            self.kafka.pause()

    def restart_broker(self) -> None:
        self.stop_broker()
        self.start_broker()

    @property
    def process_ids(self) -> dict[str, int]:
        servers = {"postgres": self.postgres, "valkey": self.valkey, "broker": self.kafka}
        return {name: server.child.pid for name, server in servers.items() if server}

    @property
    def addresses(self) -> ServerAddresses:
        """Where everything is, after `start`."""
        return ServerAddresses(
            database_url=self._database("DATABASE_URL", "console", "console"),
            source_url=self._database("SOURCE_DATABASE_URL", "source_reader", "source"),
            source_owner_url=self._database("SOURCE_OWNER_DATABASE_URL", "company", "source"),
            index_url=self._database("INDEX_DATABASE_URL", "index_reader", "index"),
            index_owner_url=self._database("INDEX_OWNER_DATABASE_URL", "indexer", "index"),
            admin_url=self.postgres.admin_url if self.postgres else "",
            redis_url=self._given_or("REDIS_URL", lambda: self.valkey.url if self.valkey else ""),
            kafka_bootstrap=self._given_or(
                "KAFKA_BOOTSTRAP_SERVERS", lambda: self.kafka.bootstrap if self.kafka else ""
            ),
            captures_url=self._given.get("CAPTURES_DATABASE_URL") or self._captures_url(),
            kafka_api_version=EMBEDDED_KAFKA_API_VERSION if self.kafka else self._given.get("KAFKA_API_VERSION", ""),
            given=frozenset(name for name, value in self._given.items() if value),
        )

    def _captures_url(self) -> str:
        """The role that disables captures; in somebody else's source there is none, and the owner does it."""
        own = self.postgres if "SOURCE_DATABASE_URL" not in self._given else None
        return own.url("capture_writer", "source") if own else self._given.get("SOURCE_OWNER_DATABASE_URL", "")

    def _given_or(self, name: str, embedded: Callable[[], str]) -> str:
        return self._given.get(name) or embedded()

    def _database(self, name: str, role: str, database: str) -> str:
        return self._given_or(name, lambda: self.postgres.url(role, database) if self.postgres else "")
