"""The indexer: newer messages win, older ones change nothing, and it outlasts its broker and its database."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import connections
from kafka import KafkaProducer

from opsconsole.demo.addresses import ServerAddresses
from opsconsole.demo.company import create_schema, drop_schema
from opsconsole.demo.index_writer import Message, UnreadableMessageError, apply, newest, read_message
from opsconsole.demo.indexer import read_settings
from opsconsole.demo.processes import Child, Command, identity, wait_until
from opsconsole.demo.servers import EmbeddedServers

TASK = UUID("6f9619ff-8b86-4d01-b42d-00cf4fc964ff")
AT = "2026-03-01T12:00:00.000000+00:00"
TOPIC = "indexer-test"


def upsert(version: int, title: str = "", key: UUID = TASK) -> Message:
    fields = {"status": "waiting", "title": title or f"v{version}", "assignee_id": None, "due_at": AT}
    row = {"id": str(key), "organization_id": str(key), "version": version, "updated_at": AT, **fields}
    return Message(key, version, row)


def tombstone(version: int) -> Message:
    return Message(TASK, version, None)


@pytest.fixture
def index(servers: ServerAddresses) -> Iterator[psycopg.Connection[Any]]:
    drop_schema(servers.source_owner_url, servers.index_owner_url)
    create_schema(servers.source_owner_url, servers.index_owner_url)
    with psycopg.connect(servers.index_owner_url, autocommit=True) as connection:
        yield connection
    drop_schema(servers.source_owner_url, servers.index_owner_url)


def titles(index: psycopg.Connection[Any]) -> list[str]:
    return [row[0] for row in index.execute("SELECT title FROM tasks ORDER BY title")]


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "one by one"])
@pytest.mark.parametrize(
    ("messages", "left"),
    [
        ([upsert(1), upsert(2)], ["v2"]),
        ([upsert(2), upsert(1)], ["v2"]),
        ([upsert(2, "first"), upsert(2, "again")], ["again"]),
        ([upsert(1), tombstone(2)], []),
        ([tombstone(2), upsert(1)], []),
        ([upsert(1), tombstone(2), upsert(1)], []),
        ([upsert(3), tombstone(2)], ["v3"]),
        ([upsert(1), tombstone(2), upsert(3)], ["v3"]),
        ([upsert(1), tombstone(2), upsert(3), tombstone(2)], ["v3"]),
        ([tombstone(2), tombstone(3), upsert(2)], []),
        ([tombstone(3), tombstone(2), upsert(2)], []),
    ],
)
def test_what_is_left(index: psycopg.Connection[Any], messages: list[Message], left: list[str], together: bool) -> None:
    for batch in [messages] if together else [[message] for message in messages]:
        apply(index, batch)
    assert titles(index) == left


def test_the_same_batch_again_changes_nothing(index: psycopg.Connection[Any]) -> None:
    batch = [upsert(4), upsert(1, key=uuid4())]
    for _ in range(2):
        apply(index, batch)
    assert titles(index) == ["v1", "v4"]


def test_newest_keeps_one_message_per_task() -> None:
    assert newest([upsert(1), upsert(3), tombstone(2)]) == [upsert(3)]


@pytest.mark.parametrize(
    ("key", "value", "headers"),
    [
        (b"no uuid", None, [("version", b"1")]),
        (None, None, [("version", b"1")]),
        (str(TASK).encode(), None, []),
        (str(TASK).encode(), None, [("version", b"one")]),
        (str(TASK).encode(), b"not json", []),
        (str(TASK).encode(), b"[]", []),
        (str(TASK).encode(), json.dumps({"id": str(TASK)}).encode(), []),
    ],
)
def test_unreadable_messages_are_named(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]
) -> None:
    with pytest.raises(UnreadableMessageError):
        read_message(key, value, headers)


def test_missing_settings_are_named() -> None:
    with pytest.raises(SystemExit, match="INDEX_OWNER_DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS"):
        read_settings({})


@pytest.fixture
def indexer(embedded_servers: EmbeddedServers, index: psycopg.Connection[Any]) -> Iterator[Child]:
    addresses = embedded_servers.addresses
    settings = {
        "INDEX_OWNER_DATABASE_URL": addresses.index_owner_url,
        "KAFKA_BOOTSTRAP_SERVERS": addresses.kafka_bootstrap,
        "KAFKA_API_VERSION": addresses.kafka_api_version,
        "TASK_TOPIC": TOPIC,
        "TASK_CONSUMER_GROUP": TOPIC,
    }
    command = Command("indexer", (sys.executable, "-m", "opsconsole.demo.indexer"), environment=os.environ | settings)
    child = Child(command, embedded_servers.folder)
    child.start()
    yield child
    child.stop()


def publish(bootstrap: str, message: Message) -> None:
    """With a producer of its own: one that lives through an outage leaks the sockets of its attempts."""
    assert message.row is not None
    names = ("status", "title", "assignee_id", "due_at")
    body = {k: v for k, v in message.row.items() if k not in names} | {"fields": {k: message.row[k] for k in names}}
    producer = KafkaProducer(bootstrap_servers=bootstrap, api_version=(2, 3))
    producer.send(TOPIC, key=str(message.key).encode(), value=json.dumps(body).encode()).get(10)
    producer.close(5)


def shows(url: str, title: str) -> bool:
    with psycopg.connect(url) as reader:
        return title in titles(reader)


def test_it_outlasts_broker_and_database(
    embedded_servers: EmbeddedServers, servers: ServerAddresses, indexer: Child
) -> None:
    publish(servers.kafka_bootstrap, upsert(1))
    assert wait_until(lambda: shows(servers.index_url, "v1"), 20)

    embedded_servers.restart_broker()
    publish(servers.kafka_bootstrap, upsert(2))
    assert wait_until(lambda: shows(servers.index_url, "v2"), 20)

    connections.close_all()  # of this process, for the tests that come after
    embedded_servers.stop_postgres()
    publish(servers.kafka_bootstrap, upsert(3))
    assert wait_until(lambda: "index database is away" in indexer.log_path.read_text(), 20)
    embedded_servers.start_postgres()
    assert wait_until(lambda: shows(servers.index_url, "v3"), 20)

    leader = indexer.pid
    indexer.stop()
    assert not identity(leader)
