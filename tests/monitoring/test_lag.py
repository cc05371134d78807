"""The consumer group's lag: against the embedded broker, a real one, and one that cannot be reached."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata

from monitoring.pipeline import consumer, samples
from monitoring.pipeline.consumer import Watcher, caught_up_in, judge, rates
from monitoring.pipeline.models import Sample
from opsconsole import estate
from opsconsole.access import Role
from opsconsole.demo.addresses import ServerAddresses
from opsconsole.demo.processes import wait_until
from opsconsole.demo.servers import EmbeddedServers
from opsconsole.estate.model import Kafka
from opsconsole.tones import Tone
from tests.brokers.cluster import KafkaCluster
from tests.web.sync_rows import client_of

pytest_plugins = ["tests.fixtures_sync", "tests.fixtures_kafka"]
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # kafka-python leaves sockets behind

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
GROUP = "task-indexer"


def produce(servers: str, topic: str, count: int, api_version: tuple[int, ...] | None = None) -> None:
    producer = KafkaProducer(bootstrap_servers=servers, api_version=api_version)
    try:
        for future in [producer.send(topic, b"x", partition=number % 2) for number in range(count)]:
            future.get(timeout=20)
    finally:
        producer.close()


@contextmanager
def member(servers: str, topic: str) -> Iterator[Any]:
    """A process of the group, as the indexing service is one."""
    reader = KafkaConsumer(
        topic, bootstrap_servers=servers, group_id=GROUP, client_id="indexer-1", enable_auto_commit=False
    )
    try:
        yield reader
    finally:
        reader.close()


class TestDecisions:
    @given(st.integers(1, 10**9), st.floats(0, 10**6), st.floats(0, 10**6))
    def test_it_catches_up_only_when_it_is_faster(self, lag: int, came: float, went: float) -> None:
        until = caught_up_in(lag, came, went)
        assert (until is None) == (went <= came)
        assert until is None or until > 0

    def test_rates_are_unknown_when_offsets_went_back(self) -> None:
        before = {"latest": 100, "taken": 90}
        assert rates(before, 160, 120, 60.0) == (60.0, 30.0)
        assert rates(before, 20, 20, 60.0) == (None, None)
        assert rates({"latest": None}, 20, 20, 60.0) == (None, None)

    @pytest.mark.parametrize(
        ("lag", "members", "tone", "said"),
        [
            (0, 1, Tone.FINE, "Caught up."),
            (5, 1, Tone.FINE, "5 messages behind, within the limit of 10."),
            (11, 1, Tone.PROBLEM, "11 messages behind, the limit is 10; caught up in about 22 s at this pace."),
            (11, None, Tone.PROBLEM, "11 messages behind"),
            (5, 0, Tone.PROBLEM, "nobody reads"),
            (0, 0, Tone.WAITING, "nobody reads"),
            (None, None, Tone.PROBLEM, "gone"),
        ],
    )
    def test_what_it_means(self, lag: int | None, members: int | None, tone: Tone, said: str) -> None:
        found, sentence = judge(lag, 10, error="It is gone.", members=members, state="", came=30.0, went=60.0)
        assert found is tone
        assert said in sentence


class TestEmbedded:
    """The broker of the demonstration, which does not tell of groups."""

    def test_partitions_and_lag(self, servers: ServerAddresses) -> None:
        topic = f"lag-{uuid4().hex[:8]}"
        produce(servers.kafka_bootstrap, topic, 10, (2, 3))
        kafka = Kafka((servers.kafka_bootstrap,), topic, GROUP, api_version=(2, 3))
        with Watcher(kafka) as watcher:
            look = watcher.look()
            assert look.error == ""
            assert [one.lag for one in look.partitions] == [5, 5, 0, 0]
            assert look.partitions[0].committed is None
            assert look.group.members is None
            self.commit(servers.kafka_bootstrap, topic, 3)
            assert watcher.look(fresh=0).lag == 7

    @staticmethod
    def commit(servers: str, topic: str, offset: int) -> None:
        with closing(KafkaConsumer(bootstrap_servers=servers, group_id=GROUP, api_version=(2, 3))) as reader:
            partition = TopicPartition(topic, 0)
            reader.assign([partition])
            reader.commit({partition: OffsetAndMetadata(offset, "", -1)})

    def test_a_broker_that_hangs_is_told_within_two_seconds(self, embedded_servers: EmbeddedServers) -> None:
        assert embedded_servers.kafka is not None
        servers = embedded_servers.addresses.kafka_bootstrap
        with Watcher(Kafka((servers,), "task-updates", GROUP, api_version=(2, 3))) as watcher:
            assert watcher.look().error == ""
            embedded_servers.kafka.pause()
            try:
                started = time.monotonic()
                assert watcher.look(fresh=0).error
                assert time.monotonic() - started < 3
            finally:
                embedded_servers.kafka.resume()
            assert wait_until(lambda: watcher.look(fresh=0).error == "", 20), "it is back"


class TestReal:
    """Apache Kafka, which tells of groups."""

    def test_members_lag_and_a_group_without_members(self, real_kafka: KafkaCluster) -> None:
        topic = f"lag-{uuid4().hex[:8]}"
        real_kafka.create_topic(topic, partitions=2)
        servers = real_kafka.bootstrap_servers
        produce(servers, topic, 10)
        kafka = Kafka(tuple(servers.split(",")), topic, GROUP)
        with Watcher(kafka) as watcher:
            with member(servers, topic) as reader:
                taken = 0
                deadline = time.monotonic() + 30
                while taken < 10 and time.monotonic() < deadline:
                    taken += sum(map(len, reader.poll(timeout_ms=500).values()))
                reader.commit({TopicPartition(topic, 0): OffsetAndMetadata(4, "", -1)})
                look = watcher.look(fresh=0)
                assert look.error == ""
                assert [one.committed for one in look.partitions] == [4, None]
                assert look.lag == 6
                assert look.group.members is not None
                assert [one.client for one in look.group.members] == ["indexer-1"]
            empty = watcher.look(fresh=0)
            assert (empty.group.state, empty.group.members) == ("Empty", ())
            tone, sentence = judge(empty.lag, 100, error="", members=0, state=empty.group.state, came=None, went=None)
            assert tone is Tone.PROBLEM
            assert "no member" in sentence


@pytest.mark.usefixtures("committed", "use_estate")
class TestPage:
    def test_the_page_against_the_embedded_broker(self, servers: ServerAddresses, topic: str) -> None:
        produce(servers.kafka_bootstrap, topic, 6, (2, 3))
        text = client_of(Role.VIEWER).get("/pipeline/lag/").content.decode()
        assert "6 messages behind, within the limit of 10,000." in text
        assert '<dd>0</dd><dd class="figure-note">this broker' not in text
        assert "this broker does not tell" in text
        assert text.count('data-label="Partition"') == 4

    def test_without_a_broker_the_page_says_so_and_stands(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
        estate.reset()
        started = time.monotonic()
        answer = client_of(Role.VIEWER).get("/pipeline/lag/")
        assert time.monotonic() - started < 4
        assert answer.status_code == 200
        assert "Kafka (127.0.0.1:1)" in answer.content.decode()

    def test_samples_say_what_a_minute_brought_and_an_outage_is_one(self, servers: ServerAddresses, topic: str) -> None:
        produce(servers.kafka_bootstrap, topic, 2, (2, 3))
        look = consumer.watcher().look(fresh=0)
        consumer.sample(look)
        Sample.objects.update(at=look.at - timedelta(seconds=30))
        produce(servers.kafka_bootstrap, topic, 3, (2, 3))
        consumer.sample(consumer.watcher().look(fresh=0))
        newest = samples.latest(consumer.SUBJECT)
        assert newest is not None
        assert newest.figures["lag"] == 5
        assert 0 < newest.figures["came"] <= 6
        consumer.sample(consumer.Look(look.at + timedelta(hours=1), error="Kafka is away."))
        newest = samples.latest(consumer.SUBJECT)
        assert newest is not None
        assert (newest.figures["lag"], newest.figures["error"]) == (None, "Kafka is away.")
