"""The publisher beside what test_broker_contract.py asks of every broker: nobody there, outages, forks."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import monotonic
from uuid import UUID

import pytest
from kafka import TopicPartition, errors
from kafka.producer.future import FutureProduceResult

from opsconsole.demo.addresses import ServerAddresses
from opsconsole.errors import OutsideDataError, UnavailableError
from opsconsole.estate.model import Kafka
from sync.engine.messages import Message
from sync.producer import Placed
from sync.publisher import Publisher, PublishError, Receipt

# The topic that the embedded broker has from the start.
TOPIC = "task-updates"


# kafka-python leaves sockets of refused connections to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def collect_sockets() -> Iterator[None]:
    """Here, where the warning is expected, and not in the middle of another test."""
    yield
    gc.collect()


@pytest.fixture
def kafka(servers: ServerAddresses) -> Kafka:
    return Kafka(tuple(servers.kafka_bootstrap.split(",")), TOPIC, "nobody", api_version=(2, 3), delivery_timeout=20)


def message(number: int, value: bytes | None = b"{}") -> Message:
    return Message(UUID(int=number), value, (("version", b"1"), ("job_id", str(number).encode())))


def test_nothing_to_publish_connects_to_nothing() -> None:
    with Publisher(Kafka(("127.0.0.1:1",), TOPIC, "nobody")) as publisher:
        assert publisher.publish([]) == []


def test_nearly_every_message_takes_the_quick_way(kafka: Kafka) -> None:
    """Only a batch's first goes the library's. An upgrade that moves what `QuickProducer` needs is seen here."""
    with Publisher(kafka) as publisher:
        sending = publisher.send([message(number) for number in range(1_000)])
        assert sum(isinstance(future, Placed) for _, future in sending.futures) > 900
        receipts = [outcome for outcome in publisher.settle(sending) if isinstance(outcome, Receipt)]
    assert sending.done()
    assert len({(receipt.partition, receipt.offset) for receipt in receipts}) == len(sending.futures)


def test_a_record_that_is_not_acknowledged_says_so_in_time() -> None:
    """Also where its batch was split while it waited, and the part that has it failed."""
    whole, part = FutureProduceResult(TopicPartition(TOPIC, 3)), FutureProduceResult(TopicPartition(TOPIC, 3))
    placed = Placed(whole, 7)
    with pytest.raises(errors.KafkaTimeoutError):
        placed.get(0.01)
    with ThreadPoolExecutor(1) as waiting:
        outcome = waiting.submit(placed.get, 20)
        placed.rebind(part, 2)
        assert not placed.is_done
        part.success((100, -1, None))
        assert outcome.result(20) == (3, 102)
    refused = FutureProduceResult(TopicPartition(TOPIC, 3))
    placed.rebind(refused, 0)
    refused.success((-1, -1, lambda index: errors.InvalidRecordError(f"record {index}")))
    with pytest.raises(errors.InvalidRecordError, match="record 0"):
        placed.get(20)


def test_an_absent_broker_is_told_within_seconds(kafka: Kafka) -> None:
    for api_version in (None, (2, 3)):
        absent = replace(kafka, bootstrap_servers=("127.0.0.1:1",), api_version=api_version)
        started = monotonic()
        with (
            Publisher(absent) as publisher,
            pytest.raises(PublishError, match=r"Kafka \(127\.0\.0\.1:1\) did not answer"),
        ):
            publisher.publish([message(1)])
        assert monotonic() - started < 8


def test_a_compression_that_is_not_installed(kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kafka.codec.has_zstd", lambda: False)
    monkeypatch.setattr(
        "kafka.producer.kafka.KafkaProducer._COMPRESSORS", {"zstd": (lambda: False, 4), None: (bool, 0)}
    )
    with Publisher(replace(kafka, compression="zstd")) as publisher, pytest.raises(OutsideDataError, match="zstd"):
        publisher.publish([message(1)])


@pytest.fixture
def own_broker() -> Iterator[subprocess.Popen[str]]:
    """A broker that a test may take down."""
    command = [sys.executable, "-m", "opsconsole.demo.broker", str(os.getpid())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(10)


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def wait_until(happened: Callable[[], bool], seconds: float) -> None:
    """Each look takes its own time: a publish that fails blocks until its timeout."""
    ends = monotonic() + seconds
    while not happened():
        assert monotonic() < ends, f"not within {seconds} s"


def test_after_an_outage_that_outlasts_the_timeout_publishing_works_again(
    kafka: Kafka, own_broker: subprocess.Popen[str]
) -> None:
    kafka = replace(kafka, bootstrap_servers=(first_line(own_broker),), delivery_timeout=2)
    with Publisher(kafka) as publisher:
        assert len(publisher.publish([message(1)])) == 1
        own_broker.send_signal(signal.SIGUSR1)

        def refused() -> bool:
            try:
                publisher.publish([message(number) for number in range(10)])
            except UnavailableError:
                return True
            return False

        wait_until(refused, 10)  # the signal may arrive after the first of these calls
        own_broker.send_signal(signal.SIGUSR2)
        wait_until(lambda: not refused(), 30)


def test_a_publisher_works_on_both_sides_of_a_fork(kafka: Kafka) -> None:
    """In a process of its own: forking one with threads is only safe where nothing else happens in it."""
    script = f"""
import os, sys, warnings
warnings.simplefilter("ignore")
from uuid import UUID
from opsconsole.estate.model import Kafka
from sync.engine.messages import Message
from sync.publisher import Publisher
publisher = Publisher(Kafka({kafka.bootstrap_servers!r}, {TOPIC!r}, "nobody", api_version=(2, 3)))
messages = [Message(UUID(int=1), b"1", ())]
publisher.publish(messages)
child = os.fork()
if child == 0:
    publisher.publish(messages)
    os._exit(0)
_, status = os.waitpid(child, 0)
publisher.publish(messages)
publisher.close()
sys.exit(os.waitstatus_to_exitcode(status))
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
