"""kafka-python's producer, at a third of its cost for each message.

`KafkaProducer.send` does for each message what is the same for all of a batch, and makes for each a future with
callbacks of its own. Where a job publishes hundreds of thousands, that is most of its time. `QuickProducer` puts a
message into the batch that is open for its partition and remembers its place there; everything else is the library's:
making batches, sending, retries, sequence numbers, splitting what is too large, expiry.

For that it needs what kafka-python 3.0.12 does not publish: the open batches of its accumulator with their lock, and
the list in which a batch keeps whom to tell when it is split. `tests/sync/test_broker_contract.py` asks of both kinds
of brokers what must come of it, and `test_publisher.py` that it is used: an upgrade that moves these is seen there.
"""

from __future__ import annotations

from time import monotonic
from typing import Any, NamedTuple

from kafka import KafkaProducer, TopicPartition, errors


class Place(NamedTuple):
    """Where the broker put a record."""

    partition: int
    offset: int


class Placed:
    """What becomes of a record that joined an open batch, asked as kafka-python's own futures are."""

    __slots__ = ("_at",)

    def __init__(self, result: Any, index: int) -> None:
        self._at = result, index

    @property
    def is_done(self) -> bool:
        return bool(self._at[0].is_done)

    def rebind(self, result: Any, index: int) -> None:
        """kafka-python says so when the record is in another batch from here on. In its own thread."""
        before, _ = self._at
        self._at = result, index
        before._latch.set()  # noqa: SLF001  (whoever waits there looks again)

    def get(self, timeout: float) -> Place:
        """Waits for at most `timeout` seconds. Raises the KafkaError of the record, or KafkaTimeoutError."""
        ends = monotonic() + timeout
        result, index = self._at
        while not result.is_done:
            if not result.wait(max(0.0, ends - monotonic())) or monotonic() > ends:
                raise errors.KafkaTimeoutError(f"Timeout after waiting for {timeout:g} secs.")
            result, index = self._at
        base, _, error_of = result.value
        if error_of is not None:
            raise error_of(index)
        return Place(result.topic_partition.partition, base + index)


class QuickProducer(KafkaProducer):  # type: ignore[misc]  # kafka-python is untyped
    """For one thread that sends, messages with keys, and who knows their partitions."""

    def send_quickly(
        self, place: TopicPartition, key: bytes, value: bytes | None, headers: tuple[tuple[str, bytes], ...]
    ) -> Any:
        """As `send`: a future with `get` and `is_done`, and the same errors.

        A record that joins a batch fits into it, so it is below the client's limit for one.
        """
        with self._accumulator._tp_lock(place):  # noqa: SLF001
            batches = self._accumulator._batches.get(place)  # noqa: SLF001
            newest: Any = batches[-1] if batches else None
            joined = newest and newest.records.append(None, key, value, headers)
            if joined:
                placed = Placed(newest.produce_future, joined.offset)
                newest._record_futures.append(placed)  # noqa: SLF001
                return placed
        return self.send(place.topic, value, key=key, headers=list(headers), partition=place.partition)
