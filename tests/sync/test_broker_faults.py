"""Publishing while Apache Kafka's brokers die: nothing acknowledged is lost, and what failed works again afterwards."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from kafka import KafkaConsumer, TopicPartition

from opsconsole.demo.processes import wait_until
from opsconsole.estate.model import Kafka
from opsconsole.kafka_client import client_settings
from sync.engine.messages import Message
from sync.publisher import Publisher, PublishError, Receipt
from tests.brokers.cluster import KafkaCluster

pytest_plugins = ["tests.fixtures_kafka"]
# kafka-python leaves sockets of refused connections to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.timeout(300),  # three Java processes start within one test's time, on a machine that may be busy
]

PARTITIONS = 4
CHUNK = 100
PAUSE = 0.05
"""Seconds between two chunks, so that the brokers have the processor to themselves when they come back."""
PATIENCE = 60.0


@pytest.fixture(autouse=True)
def collect_sockets() -> Iterator[None]:
    """Here, where the warning is expected, and not in the middle of another test."""
    yield
    gc.collect()


def kafka_of(cluster: KafkaCluster, **settings: str) -> Kafka:
    """A new topic on `cluster`, with topic settings in Kafka's names but for the dots."""
    topic = f"faults-{uuid4().hex[:8]}"
    cluster.create_topic(topic, PARTITIONS, {name.replace("_", "."): value for name, value in settings.items()})
    return Kafka(tuple(cluster.bootstrap_servers.split(",")), topic, "nobody", delivery_timeout=20)


class Writer(threading.Thread):
    """Publishes one chunk after the other until `finish`, and a chunk that failed again: what a job does."""

    def __init__(self, kafka: Kafka) -> None:
        super().__init__(daemon=True)
        self._kafka = kafka
        self._enough = threading.Event()
        self.receipts: dict[UUID, Receipt] = {}
        self.chunks = 0
        self.failures = 0

    def run(self) -> None:
        with Publisher(self._kafka) as publisher:
            while not self._enough.wait(PAUSE):
                numbers = range(self.chunks * CHUNK, (self.chunks + 1) * CHUNK)
                messages = [Message(UUID(int=number), str(number).encode(), ()) for number in numbers]
                try:
                    receipts = publisher.publish(messages)
                except PublishError:
                    self.failures += 1
                    continue
                self.receipts |= {UUID(str(one.key)): one for one in receipts if isinstance(one, Receipt)}
                self.chunks += 1

    def goes_on(self, chunks: int = 5) -> None:
        """Waits until so many further chunks are acknowledged."""
        wanted = self.chunks + chunks
        assert wait_until(lambda: self.chunks >= wanted, PATIENCE), f"{self.chunks} of {wanted} chunks"

    def finish(self) -> None:
        self._enough.set()
        self.join(PATIENCE)
        assert not self.is_alive()


def records(kafka: Kafka) -> dict[tuple[int, int], Any]:
    """Everything in the topic, by partition and offset."""
    settings = client_settings(kafka)
    with closing(KafkaConsumer(**settings, enable_auto_commit=False)) as consumer:
        places = [TopicPartition(kafka.topic, number) for number in range(PARTITIONS)]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        ends = consumer.end_offsets(places)
        found: dict[tuple[int, int], Any] = {}
        while any(consumer.position(place) < end for place, end in ends.items()):
            for polled in consumer.poll(timeout_ms=200).values():
                found |= {(record.partition, record.offset): record for record in polled}
    return found


def assert_nothing_lost(kafka: Kafka, writer: Writer) -> None:
    """What was acknowledged is where its receipt says, and only chunks that failed are there more than once."""
    found = records(kafka)
    assert len(writer.receipts) == writer.chunks * CHUNK
    for key, receipt in writer.receipts.items():
        assert found[receipt.partition, receipt.offset].key.decode() == str(key)
    assert len(found) - len(writer.receipts) <= writer.failures * CHUNK


@pytest.fixture
def write() -> Iterator[Any]:
    """Call it with a kafka: a writer that has begun, and is gone at the end whatever the test did."""
    writers: list[Writer] = []

    def begin(kafka: Kafka) -> Writer:
        writer = Writer(kafka)
        writers.append(writer)
        writer.start()
        writer.goes_on()
        return writer

    yield begin
    for writer in writers:
        writer.finish()


def test_a_broker_restarted_while_publishing(real_kafka: KafkaCluster, write: Any) -> None:
    kafka = kafka_of(real_kafka)
    writer = write(kafka)
    real_kafka.restart()
    writer.goes_on()
    writer.finish()
    assert_nothing_lost(kafka, writer)


def test_a_broker_of_three_killed_while_publishing(three_brokers: KafkaCluster, write: Any) -> None:
    """The others take over what it led. A chunk may fail where that takes longer than the delivery timeout."""
    kafka = kafka_of(three_brokers)
    writer = write(kafka)
    victim = three_brokers.leaders(kafka.topic, PARTITIONS)[0]
    three_brokers.kill(victim)
    writer.goes_on()
    three_brokers.revive(victim)
    writer.goes_on()
    writer.finish()
    assert_nothing_lost(kafka, writer)


def test_too_few_replicas_is_an_outage_that_passes(three_brokers: KafkaCluster) -> None:
    """All three must have a message and one is dead: batches expire under retry. kafka-python's idempotent producer
    sends nothing any more after that, so it is the publisher's new one that works when the broker is back."""
    kafka = replace(kafka_of(three_brokers, min_insync_replicas="3"), delivery_timeout=3)
    messages = [Message(UUID(int=number), b"{}", ()) for number in range(CHUNK)]
    with Publisher(kafka) as publisher:
        publisher.publish(messages)
        three_brokers.kill(1)
        with pytest.raises(PublishError, match=r"did not acknowledge all of 100 messages on topic .* within 3 s"):
            publisher.publish(messages)
        three_brokers.revive(1)
        assert wait_until(lambda: works(publisher, messages), PATIENCE)
    assert {record.key.decode() for record in records(kafka).values()} == {str(one.key) for one in messages}


def works(publisher: Publisher, messages: list[Message]) -> bool:
    try:
        return len(publisher.publish(messages)) == len(messages)
    except PublishError:
        return False


def test_two_of_three_brokers_gone_is_an_outage_that_passes(three_brokers: KafkaCluster) -> None:
    """With them goes the majority of the controllers: no leader is chosen until one is back."""
    kafka = replace(kafka_of(three_brokers), delivery_timeout=3)
    messages = [Message(UUID(int=number), b"{}", ()) for number in range(CHUNK)]
    with Publisher(kafka) as publisher:
        publisher.publish(messages)
        three_brokers.kill(1)
        three_brokers.kill(2)
        with pytest.raises(PublishError):
            publisher.publish(messages)
        three_brokers.revive(1, 2)
        assert wait_until(lambda: works(publisher, messages), PATIENCE)
