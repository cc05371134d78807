"""What the console asks of a Kafka broker, asked of the embedded one and of Apache Kafka alike."""

from __future__ import annotations

import gc
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from kafka import KafkaConsumer, TopicPartition

from opsconsole.demo.addresses import ServerAddresses
from opsconsole.demo.processes import wait_until
from opsconsole.errors import UnavailableError
from opsconsole.estate.model import Kafka
from opsconsole.kafka_client import client_settings
from sync.engine.messages import Message
from sync.lag import LagReader
from sync.publisher import Publisher, PublishError, Receipt, Refused
from tests.brokers.cluster import KafkaCluster

pytest_plugins = ["tests.fixtures_kafka"]
# kafka-python leaves sockets of refused connections to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.timeout(300),  # the first test of a fresh checkout waits for Maven, too
]

PARTITIONS = 4


@pytest.fixture(autouse=True)
def collect_sockets() -> Iterator[None]:
    """Here, where the warning is expected, and not in the middle of another test."""
    yield
    gc.collect()


@dataclass(frozen=True, slots=True)
class Broker:
    """One under test. `create` makes a topic of four partitions; the embedded broker has each that is asked for."""

    bootstrap: str
    api_version: tuple[int, ...] | None
    create: Callable[[str], None]


@pytest.fixture(params=["embedded", "real"])
def broker(request: pytest.FixtureRequest) -> Broker:
    if request.param == "embedded":
        addresses: ServerAddresses = request.getfixturevalue("servers")
        return Broker(addresses.kafka_bootstrap, (2, 3), lambda name: None)
    cluster: KafkaCluster = request.getfixturevalue("real_kafka")
    return Broker(cluster.bootstrap_servers, None, cluster.create_topic)


@pytest.fixture
def kafka(broker: Broker) -> Kafka:
    """A topic of the test's own."""
    topic = f"contract-{uuid4().hex[:8]}"
    broker.create(topic)
    servers = tuple(broker.bootstrap.split(","))
    return Kafka(servers, topic, f"group-{topic}", api_version=broker.api_version, delivery_timeout=20)


def message(number: int, value: bytes | None = b"{}") -> Message:
    return Message(UUID(int=number), value, (("version", b"1"), ("job_id", str(number).encode())))


def open_consumer(kafka: Kafka, **options: Any) -> Any:
    """Of a new topic it hears within a second: the leader of a group that joins before shares nothing out
    and would ask again in five minutes."""
    often = {"metadata_max_age_ms": 1_000, "enable_auto_commit": False, "auto_offset_reset": "earliest"}
    return KafkaConsumer(**client_settings(kafka), **often, **options)


def read_all(kafka: Kafka) -> list[Any]:
    """Every record of the topic, partition by partition."""
    with closing(open_consumer(kafka)) as consumer:
        places = [TopicPartition(kafka.topic, number) for number in range(PARTITIONS)]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        ends = consumer.end_offsets(places)
        records: list[Any] = []
        while any(consumer.position(place) < end for place, end in ends.items()):
            for polled in consumer.poll(timeout_ms=200).values():
                records += polled
    return sorted(records, key=lambda record: (record.partition, record.offset))


@pytest.mark.parametrize("idempotence", [True, False])
@pytest.mark.parametrize("compression", ["none", "gzip", "lz4", "zstd"])
def test_every_message_is_acknowledged_and_there(kafka: Kafka, idempotence: bool, compression: str) -> None:
    """With its headers, and a tombstone as one; at the place that its receipt names."""
    kafka = replace(kafka, idempotence=idempotence, compression=compression)
    messages = [message(number, None if number % 3 == 0 else f'{{"n":{number}}}'.encode()) for number in range(1, 101)]
    with Publisher(kafka) as publisher:
        receipts = receipts_of(publisher.publish(messages))
    assert [receipt.key for receipt in receipts] == [one.key for one in messages]
    found = {(record.partition, record.offset): record for record in read_all(kafka)}
    assert len(found) == len(messages)
    for one, receipt in zip(messages, receipts, strict=True):
        record = found[receipt.partition, receipt.offset]
        assert (record.key.decode(), record.value, tuple(record.headers)) == (str(one.key), one.value, one.headers)


def test_messages_of_one_task_keep_their_order(kafka: Kafka) -> None:
    """Over many calls, batches and requests in flight, with those of other tasks between them."""
    with Publisher(kafka) as publisher:
        for call in range(5):
            publisher.publish([message(n % 7, str(1_000 * call + n).encode()) for n in range(700)])
    by_task: dict[bytes, list[int]] = {}
    places: dict[bytes, set[int]] = {}
    for record in read_all(kafka):
        by_task.setdefault(record.key, []).append(int(record.value))
        places.setdefault(record.key, set()).add(record.partition)
    assert sum(map(len, by_task.values())) == 3_500
    assert all(numbers == sorted(numbers) for numbers in by_task.values())
    assert all(len(partitions) == 1 for partitions in places.values())


def test_a_message_above_the_clients_limit_names_the_task_and_the_next_call_works(kafka: Kafka) -> None:
    with Publisher(kafka) as publisher:
        first, refused, last = publisher.publish([message(1), message(2, b"x" * 3_000_000), message(3)])
        assert isinstance(first, Receipt)
        assert isinstance(last, Receipt)
        assert isinstance(refused, Refused)
        assert refused.key == UUID(int=2)
        assert f"refuses the message of task {UUID(int=2)} on topic" in refused.sentence
        assert len(publisher.publish([message(4)])) == 1


def test_the_lag_of_a_group_is_what_it_has_not_committed(kafka: Kafka) -> None:
    with Publisher(kafka) as publisher:
        publisher.publish([message(number) for number in range(30)])
        with closing(LagReader(kafka)) as reader:
            # All of it, while the group has committed nothing. A cluster's first group waits for its coordinator.
            assert wait_until(lambda: told(reader) == 30, 30)
            take(kafka, 30)
            assert reader.read() == 0
            publisher.publish([message(number) for number in range(30, 50)])
            assert reader.read() == 20


@contextmanager
def member_of_group(kafka: Kafka) -> Iterator[Any]:
    """A consumer that joins the estate's group. It knows the topic's partitions before: kafka-python 3.0 that learns of
    them while it shares them out gives everyone none, and stays so."""
    with closing(open_consumer(kafka, group_id=kafka.consumer_group)) as consumer:
        assert wait_until(lambda: consumer.partitions_for_topic(kafka.topic), 30)
        consumer.subscribe([kafka.topic])
        yield consumer


def take(kafka: Kafka, count: int) -> list[Any]:
    """`count` records, as a member of the estate's group that commits what it took and leaves."""
    taken: list[Any] = []

    def enough() -> bool:
        for polled in consumer.poll(timeout_ms=200).values():
            taken.extend(polled)
        return len(taken) >= count

    with member_of_group(kafka) as consumer:
        assert wait_until(enough, 60)  # joining a group takes several rounds, each with waits of its own
        consumer.commit()
    assert len(taken) == count
    return taken


def receipts_of(outcomes: Sequence[Receipt | Refused]) -> list[Receipt]:
    """Where no message was refused."""
    receipts = [outcome for outcome in outcomes if isinstance(outcome, Receipt)]
    assert len(receipts) == len(outcomes)
    return receipts


def told(reader: LagReader) -> int | None:
    try:
        return reader.read()
    except UnavailableError:
        return None


# What only Apache Kafka does.


@pytest.fixture
def real(real_kafka: KafkaCluster) -> Kafka:
    return Kafka(
        (real_kafka.bootstrap_servers,), f"real-{uuid4().hex[:8]}", f"group-{uuid4().hex[:8]}", delivery_timeout=20
    )


def test_messages_that_the_broker_finds_too_large_are_found_and_all_others_arrive(
    real: Kafka, real_kafka: KafkaCluster
) -> None:
    """Below the client's own limit, so that it is the broker who refuses; sent together with others in one batch."""
    real_kafka.create_topic(real.topic, PARTITIONS, {"max.message.bytes": "20000"})
    large = random.Random(1).randbytes(40_000)  # which no compression makes small
    with Publisher(real) as publisher:
        messages = [message(number, large if number in (20, 41) else b"{}") for number in range(90)]
        sendings = [publisher.send(messages[begin : begin + 30]) for begin in (0, 30, 60)]
        outcomes = [outcome for sending in sendings for outcome in publisher.settle(sending)]
    refused = {outcome.key for outcome in outcomes if isinstance(outcome, Refused)}
    assert refused == {UUID(int=20), UUID(int=41)}
    assert [outcome.key for outcome in outcomes] == [sent.key for sent in messages]
    arrived = {record.key for record in read_all(real)}
    assert arrived == {str(sent.key).encode() for sent in messages if sent.key not in refused}


def test_batches_above_the_brokers_limit_are_sent_as_smaller_ones(real: Kafka, real_kafka: KafkaCluster) -> None:
    """A topic that allows less than the console's batches hold refuses none of the small messages in them."""
    real_kafka.create_topic(real.topic, 1, {"max.message.bytes": "20000"})
    generator = random.Random(1)
    messages = [message(number, generator.randbytes(1_000)) for number in range(200)]
    with Publisher(real) as publisher:
        receipts = receipts_of(publisher.publish(messages))
    assert [receipt.offset for receipt in receipts] == list(range(200))


def test_a_topic_that_is_not_there_does_not_come_into_being(real: Kafka, real_kafka: KafkaCluster) -> None:
    with Publisher(real) as publisher, pytest.raises(PublishError, match=f"answers but has no topic {real.topic}"):
        publisher.publish([message(1)])
    with real_kafka.admin() as admin:
        assert real.topic not in admin.list_topics()


def test_idempotent_copies_of_a_request_are_stored_once(real: Kafka, real_kafka: KafkaCluster) -> None:
    """Acknowledged once, there once: also what several calls send one after the other."""
    real_kafka.create_topic(real.topic)
    receipts: list[Receipt] = []
    with Publisher(real) as publisher:
        for call in range(20):
            receipts += receipts_of(publisher.publish([message(100 * call + number) for number in range(100)]))
    assert Counter((receipt.partition, receipt.offset) for receipt in receipts).most_common(1)[0][1] == 1
    assert len(read_all(real)) == len(receipts) == 2_000


def test_a_group_goes_on_from_what_it_committed(real: Kafka, real_kafka: KafkaCluster) -> None:
    """As the indexing service does after a restart. (The embedded broker keeps the next member waiting for 30 s.)"""
    real_kafka.create_topic(real.topic)
    with Publisher(real) as publisher:
        publisher.publish([message(number) for number in range(40)])
        first = take(real, 40)
        publisher.publish([message(number) for number in range(40, 60)])
    second = take(real, 20)
    assert {record.key for record in first} | {record.key for record in second} == {
        str(UUID(int=number)).encode() for number in range(60)
    }


class Member(threading.Thread):
    """Of the estate's group, in a thread of its own: a join waits for the others to join again."""

    def __init__(self, kafka: Kafka) -> None:
        super().__init__(daemon=True)
        self._kafka = kafka
        self._enough = threading.Event()
        self.partitions: set[TopicPartition] = set()

    def run(self) -> None:
        with member_of_group(self._kafka) as consumer:
            while not self._enough.is_set():
                consumer.poll(timeout_ms=100)
                self.partitions = consumer.assignment()

    def leave(self) -> None:
        self._enough.set()
        self.join(30)


def test_two_members_of_a_group_share_the_partitions(real: Kafka, real_kafka: KafkaCluster) -> None:
    """And the one that stays takes over what the other had. (The embedded broker knows groups of one member.)"""
    real_kafka.create_topic(real.topic)
    every = {TopicPartition(real.topic, number) for number in range(PARTITIONS)}
    one, two = Member(real), Member(real)
    try:
        one.start()
        two.start()
        assert wait_until(lambda: (len(one.partitions), len(two.partitions)) == (2, 2), 60)
        assert one.partitions | two.partitions == every
        one.leave()
        assert wait_until(lambda: two.partitions == every, 60)
    finally:
        one.leave()
        two.leave()
