"""Apache Kafka for the tests that ask for it: started once for the run, on the first request.

A test module takes them with `pytest_plugins = ["tests.fixtures_kafka"]`. Without Java and Maven those tests are
skipped, and the reason is printed; on CI they fail, because a skipped test would pass unseen.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers.artifacts import NoKafkaError, class_path
from tests.brokers.cluster import KafkaCluster
from tests.brokers.secured import SecuredKafka, secured_kafka


@pytest.fixture(scope="session")
def kafka_class_path() -> str:
    try:
        return class_path()
    except NoKafkaError as error:
        reason = f"Apache Kafka is not to be had: {error}."
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def secured(servers_folder: Path, kafka_class_path: str) -> Iterator[SecuredKafka]:
    """One broker, with a listener that asks for nothing and one for each kind of login. Leave it running."""
    kafka = secured_kafka(servers_folder / "kafka", kafka_class_path)
    kafka.cluster.start()
    yield kafka
    kafka.cluster.stop()


@pytest.fixture(scope="session")
def real_kafka(secured: SecuredKafka) -> KafkaCluster:
    """The same broker, for tests that come in by the open listener."""
    return secured.cluster


@pytest.fixture(scope="session")
def three_brokers(servers_folder: Path, kafka_class_path: str) -> Iterator[KafkaCluster]:
    """Three brokers, three replicas, two of which must have a message. Leave all of them running."""
    cluster = KafkaCluster(servers_folder / "kafka-three", kafka_class_path, brokers=3)
    cluster.start()
    yield cluster
    cluster.stop()
