"""A task's messages go where Kafka's own clients would send them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.partitioner import DefaultPartitioner

from sync.partitioning import KeyPartitioner


class Cluster:
    def __init__(self, partitions: set[int] | None) -> None:
        self._partitions = partitions

    def topics(self) -> set[str]:
        return {"topic"}

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return self._partitions

    available_partitions_for_topic = partitions_for_topic


@given(key=st.binary(max_size=80), partitions=st.integers(1, 60))
def test_as_the_default_partitioner(key: bytes, partitions: int) -> None:
    cluster: Any = Cluster(set(range(partitions)))
    theirs = DefaultPartitioner().partition("topic", key, key, None, None, cluster)
    assert KeyPartitioner().partition("topic", key, key, None, None, cluster) == theirs


def test_partitions_that_are_added_are_used() -> None:
    partitioner, keys = KeyPartitioner(), [str(number).encode() for number in range(100)]
    used = [
        {partitioner.partition("topic", key, key, None, None, Cluster(set(range(count)))) for key in keys}
        for count in (2, 5)
    ]
    assert used == [{0, 1}, {0, 1, 2, 3, 4}]


def test_a_topic_that_is_gone_is_an_error() -> None:
    with pytest.raises(ValueError, match="topic"):
        KeyPartitioner().partition("topic", b"1", b"1", None, None, Cluster(None))
