"""A small company of a test's own: its databases, its topic and who reads it, and estates that name them."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from kafka import KafkaConsumer, TopicPartition
from psycopg import sql
from pytest_django import Settings

from opsconsole import estate
from opsconsole.demo.addresses import ServerAddresses
from opsconsole.demo.company import Size
from opsconsole.demo.drift import count_drift
from opsconsole.demo.estate_file import TEXT
from opsconsole.demo.index_writer import apply, read_message

SMALL = Size(organizations=6, tasks=600, largest=300)
API_VERSION = (2, 3)


def at_database(url: str, name: str) -> str:
    """The same server and role, another database."""
    return f"{url.rpartition('/')[0]}/{name}"


class Company:
    """A company's two databases, for the console's reading roles and for their owners.

    `touched` says whether anybody has asked for an owner's address: until then both are as they were made.
    """

    def __init__(self, name: str, servers: ServerAddresses) -> None:
        self.name = name
        self.touched = False
        self.source_url = at_database(servers.source_url, f"{name}_source")
        self.index_url = at_database(servers.index_url, f"{name}_index")
        self._owner_urls = (
            at_database(servers.source_owner_url, f"{name}_source"),
            at_database(servers.index_owner_url, f"{name}_index"),
        )

    @property
    def source_owner_url(self) -> str:
        self.touched = True
        return self._owner_urls[0]

    @property
    def index_owner_url(self) -> str:
        self.touched = True
        return self._owner_urls[1]

    def drift(self) -> int:
        """Counted by code that shares nothing with the engine."""
        return count_drift(self.source_url, self.index_url)

    def in_source(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return run_sql(self.source_owner_url, statement, *values)

    def in_index(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return run_sql(self.index_owner_url, statement, *values)

    def organizations(self) -> list[UUID]:
        """By size, the largest first."""
        by_size = "SELECT organization_id FROM tasks GROUP BY 1 ORDER BY count(*) DESC, 1"
        return [row[0] for row in run_sql(self.source_url, by_size)]

    def tasks(self, organization: UUID, *, deleted: bool = False) -> list[UUID]:
        """Keys of the source's tasks, in order; only living ones, or only those marked deleted."""
        statement = "SELECT id FROM tasks WHERE organization_id = %s AND (deleted_at IS NOT NULL) = %s ORDER BY id"
        return [row[0] for row in run_sql(self.source_url, statement, organization, deleted)]


def run_sql(url: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as database:
        cursor = database.execute(statement.encode(), values or None)
        return cursor.fetchall() if cursor.description else []


def create_company_databases(servers: ServerAddresses, name: str, template: str = "") -> Company:
    """Two empty databases with the demonstration's owners and readers, or copies of another company's."""
    with psycopg.connect(servers.admin_url, autocommit=True) as admin:
        for side, owner, reader in (("source", "company", "source_reader"), ("index", "indexer", "index_reader")):
            statement = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(
                sql.Identifier(f"{name}_{side}"),
                sql.Identifier(owner),
                sql.Identifier(f"{template}_{side}" if template else "template1"),
            )
            admin.execute(statement)
            if not template:
                with psycopg.connect(at_database(servers.admin_url, f"{name}_{side}"), autocommit=True) as made:
                    made.execute(
                        sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {} GRANT SELECT ON TABLES TO {}").format(
                            sql.Identifier(owner), sql.Identifier(reader)
                        )
                    )
    return Company(name, servers)


def drop_company_databases(servers: ServerAddresses, name: str) -> None:
    with psycopg.connect(servers.admin_url, autocommit=True) as admin:
        for side in ("source", "index"):
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(f"{name}_{side}")))


@dataclass(frozen=True)
class TestEstate:
    """An estate file and the topic it names."""

    __test__ = False

    path: Path
    topic: str
    environment: Mapping[str, str]


def write_test_estate(path: Path, topic: str, check: Mapping[str, object]) -> None:
    """The demonstration's estate with a topic and `[check]` values of the test's own."""
    head, _, _ = TEXT.partition("[check]")
    text = head.format(api_version='api_version = "2.3"\ndelivery_timeout = "5s"\n')
    lines = [f"{name} = {json.dumps(value)}" for name, value in check.items()]
    named = text.replace('"task-updates"', json.dumps(topic))
    path.write_text("\n".join([f"{named}[check]", *lines, ""]), encoding="utf-8")


class EstateWriter:
    """Writes the estate of a test, and makes it this process's."""

    def __init__(self, path: Path, topic: str, settings: Settings) -> None:
        self._path = path
        self._topic = topic
        self._settings = settings

    def __call__(self, **check: object) -> estate.Estate:
        # No job's process, but one that has seen a thousand tests, runs jobs here: it may be as large as it has become.
        usual = {"settle_time": "0s", "verify_timeout": "10s", "memory_limit": "16GiB"}
        write_test_estate(self._path, self._topic, usual | check)
        self._settings.ESTATE = str(self._path)
        estate.reset()
        return estate.current()


@dataclass(frozen=True)
class Record:
    """One record of the topic, headers as text."""

    key: UUID
    value: bytes | None
    headers: Mapping[str, str]
    partition: int
    offset: int


def open_consumer(bootstrap: str, topic: str) -> Any:
    """A consumer of all partitions from their beginning, without a group: joining one takes seconds."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, api_version=API_VERSION, enable_auto_commit=False)
    partitions = [TopicPartition(topic, number) for number in range(4)]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    return consumer


def read_topic(bootstrap: str, topic: str) -> list[Record]:
    """Everything in the topic now, partition by partition."""
    consumer = open_consumer(bootstrap, topic)
    try:
        ends = consumer.end_offsets(consumer.assignment())
        records: list[Record] = []
        while any(consumer.position(partition) < end for partition, end in ends.items()):
            for polled in consumer.poll(timeout_ms=200).values():
                records += [_record(raw) for raw in polled]
        return sorted(records, key=lambda record: (record.partition, record.offset))
    finally:
        consumer.close()


def _record(raw: Any) -> Record:
    headers = {name: value.decode() for name, value in raw.headers}
    return Record(UUID(raw.key.decode()), raw.value, headers, raw.partition, raw.offset)


class IndexerThread(threading.Thread):
    """The demonstration's indexing rule, applied to the topic by a thread of the test."""

    def __init__(self, bootstrap: str, topic: str, index_owner_url: str) -> None:
        super().__init__(daemon=True)
        self._consumer = open_consumer(bootstrap, topic)
        self._index_url = index_owner_url
        self._done = threading.Event()
        self.messages = 0
        self.failed: BaseException | None = None

    def run(self) -> None:
        try:
            with psycopg.connect(self._index_url, autocommit=True) as index:
                while not self._done.is_set():
                    polled = self._consumer.poll(timeout_ms=50)
                    records = [record for records in polled.values() for record in records]
                    self.messages += len(records)
                    if records:
                        apply(index, [read_message(record.key, record.value, record.headers) for record in records])
        except (psycopg.Error, ValueError) as error:
            self.failed = error

    def stop(self) -> None:
        self._done.set()
        self.join()
        self._consumer.close()
