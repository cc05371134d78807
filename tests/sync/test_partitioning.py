"""A task's messages go where Kafka's own clients would send them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from kafka.partitioner import DefaultPartitioner

from sync.partitioning import partitions_of


class Cluster:
    def __init__(self, partitions: set[int]) -> None:
        self._partitions = partitions

    def topics(self) -> set[str]:
        return {"topic"}

    def partitions_for_topic(self, topic: str) -> set[int]:
        return self._partitions

    available_partitions_for_topic = partitions_for_topic


keys = st.binary(max_size=80) | st.uuids().map(lambda key: str(key).encode())


@given(given_keys=st.lists(keys, max_size=40), partitions=st.sets(st.integers(0, 200), min_size=1, max_size=60))
def test_as_the_default_partitioner(given_keys: list[bytes], partitions: set[int]) -> None:
    cluster: Any = Cluster(partitions)
    theirs = [DefaultPartitioner().partition("topic", key, key, None, None, cluster) for key in given_keys]
    assert partitions_of(given_keys, partitions) == theirs


def test_of_a_key_is_the_same_among_others() -> None:
    many = [str(UUID(int=number << 90)).encode() for number in range(1_000)] + [b"\xff" * 36, b"\0" * 36]
    assert partitions_of(many, range(7)) == [partitions_of([key], range(7))[0] for key in many]
