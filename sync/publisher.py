"""What is published, and what became of each message; `sync/producer.py` puts kafka-python's batches together.

Sending and seeing the acknowledgements are two steps, so that work goes on in between: `send` hands messages to
kafka-python's thread, `settle` ends when the broker has acknowledged or refused every one of them, or with an error
after each was looked at.

Two facts of kafka-python 3.0 shape this file. `flush()` returns normally although messages failed, so each future is
asked. And an idempotent producer can wedge for good once a batch under retry has expired: nothing goes out any more,
even after the brokers are back (docs/architecture.md has what was seen). So a producer that had any failure is thrown
away, with all that it still had under way, and the next call makes a new one; that one has a new producer id, so what
it sends again is a second copy, which at-least-once consumers expect.

Where the estate says `idempotence = false`, one request at a time is in flight: a retry could otherwise overtake a
later message of the same task.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import shorten
from time import monotonic, time_ns
from typing import Any, NamedTuple

from kafka import TopicPartition, errors

from opsconsole import spans
from opsconsole.closing import Closing
from opsconsole.errors import OutsideDataError, UnavailableError
from opsconsole.estate import model
from opsconsole.kafka_client import client_settings
from opsconsole.kafka_login import check_login
from opsconsole.keys import Key
from opsconsole.words import counted
from sync.engine.messages import Message
from sync.partitioning import partitions_of
from sync.producer import QuickProducer

BOOTSTRAP_SECONDS = 5.0
LINGER_MS = 5
BATCH_BYTES = 256 * 1024
CLOSE_SECONDS = 1.0

# Errors that one message is the cause of: sent without it, the others arrive.
PER_MESSAGE = (
    errors.MessageSizeTooLargeError,
    errors.RecordListTooLargeError,
    errors.InvalidRecordError,
    errors.InvalidTimestampError,
)

# Errors that sending again cannot change. Everything else passes, at the latest with a new producer.
PERMANENT = (
    errors.AuthorizationError,
    errors.SaslAuthenticationFailedError,
    errors.UnsupportedSaslMechanismError,
    errors.InvalidTopicError,
    errors.InvalidRequiredAcksError,
    errors.PolicyViolationError,
    errors.UnsupportedCompressionTypeError,
    errors.UnsupportedForMessageFormatError,
)


class PublishError(UnavailableError):
    """The broker did not acknowledge everything in time. Which messages arrived is not known: publish all again."""


class NotAllowedError(OutsideDataError):
    """The broker does not let this console publish here, whatever the message."""


class Receipt(NamedTuple):
    """Where the broker put a message."""

    key: Key
    partition: int
    offset: int


class Refused(NamedTuple):
    """A message that the broker will never take, whatever is sent with it, and why in a sentence."""

    key: Key
    sentence: str


@dataclass(slots=True)
class Sending:
    """Messages under way: each with its future, or what went wrong at once; the producer that has them; and until when
    (on the monotonic clock) their acknowledgements are waited for. `outcomes` once they are known."""

    producer: Any
    futures: tuple[tuple[Message, Any], ...]
    ends: float
    outcomes: list[Receipt | Refused] | None = None
    began: int = field(default_factory=time_ns)

    def done(self) -> bool:
        """Whether the broker has answered for every message, so that `settle` need not wait."""
        return all(isinstance(future, (Refused, Exception)) or future.is_done for _, future in self.futures)


class Publisher(Closing):
    """Publishes to the estate's topic. A context manager; the producer is made with the first message, after a fork."""

    def __init__(self, kafka: model.Kafka) -> None:
        self._kafka = kafka
        self._producer: Any = None
        self._process = os.getpid()
        self._places: dict[int, TopicPartition] = {}

    def close(self) -> None:
        """Ends the producer. What was sent and not asked for may or may not arrive."""
        self._discard()

    @property
    def _place(self) -> str:
        return f"Kafka ({', '.join(self._kafka.bootstrap_servers)})"

    def publish(self, messages: Sequence[Message]) -> list[Receipt | Refused]:
        """Sends all and waits for every acknowledgement, as `send` and `settle`."""
        return self.settle(self.send(messages))

    def send(self, messages: Sequence[Message]) -> Sending:
        """Hands all to the producer's thread; waits only where that has no room, or for the first connection.

        Raises PublishError where no broker or topic is to be had. What else goes wrong `settle` tells. Who sends more
        than one of these bounds how many are under way; memory is theirs.
        """
        if not messages:
            return Sending(None, (), 0.0)
        producer, places = self._ready_producer()
        ends = monotonic() + self._kafka.delivery_timeout
        keys = [str(message.key).encode() for message in messages]
        futures: list[tuple[Message, Any]] = []
        failed: Exception | None = None
        for message, key, partition in zip(messages, keys, partitions_of(keys, places), strict=True):
            # After a failure nothing more is sent: each could wait for as long.
            future = failed or self._send(producer, places[partition], key, message)
            failed = future if isinstance(future, Exception) else None
            futures.append((message, future))
        return Sending(producer, tuple(futures), ends)

    def _send(self, producer: Any, place: TopicPartition, key: bytes, message: Message) -> Any:
        """The future, or what went wrong."""
        try:
            return producer.send_quickly(place, key, message.value, message.headers)
        except PER_MESSAGE as error:
            return self._refused(message, error)
        except (errors.KafkaError, ValueError) as error:  # a ValueError where the topic has fewer partitions by now
            return error

    def settle(self, sending: Sending) -> list[Receipt | Refused]:
        """Waits for every acknowledgement, at most the estate's delivery timeout since they were sent. In order.

        A message that the broker refuses is found by sending it alone, and the others arrive. Raises PublishError where
        any is not acknowledged; others may have been delivered then.
        """
        if sending.outcomes is None:
            sending.outcomes = self._settle(sending)
            self._tell(sending)
        return sending.outcomes

    def _tell(self, sending: Sending) -> None:
        if sending.outcomes:
            known = {"messaging.system": "kafka", "messaging.destination.name": self._kafka.topic}
            spans.past("publish", sending.began, {**known, "messaging.batch.message_count": len(sending.outcomes)})

    def _settle(self, sending: Sending) -> list[Receipt | Refused]:
        outcomes, failures = self._collect(sending)
        if failures:
            ours = sending.producer is self._producer
            if ours:
                self._discard()
            # A refused message is the end of an idempotent producer, and of all that it had under way.
            if ours and not _may_be_refused(failures):
                raise self._failure(failures, len(sending.futures))
            self._send_apart(sending, outcomes, failures)
        return [outcome for outcome in outcomes if outcome is not None]

    def _collect(self, sending: Sending) -> tuple[list[Receipt | Refused | None], dict[int, Exception]]:
        """What became of each message, and by their places the failures of those of which that is not known."""
        outcomes: list[Receipt | Refused | None] = []
        failures: dict[int, Exception] = {}
        for place, (message, future) in enumerate(sending.futures):
            outcome = future if isinstance(future, (Refused, Exception)) else self._wait(message, future, sending.ends)
            if isinstance(outcome, Exception):
                failures[place] = outcome
            outcomes.append(None if isinstance(outcome, Exception) else outcome)
        return outcomes, failures

    def _wait(self, message: Message, future: Any, ends: float) -> Receipt | errors.KafkaError:
        try:
            record = future.get(timeout=max(0.0, ends - monotonic()))
        except errors.KafkaError as error:
            return error
        return Receipt(message.key, record.partition, record.offset)

    def _send_apart(
        self, sending: Sending, outcomes: list[Receipt | Refused | None], failures: Mapping[int, Exception]
    ) -> None:
        """Send what failed again, in halves, and fill in what becomes of it."""
        places = list(failures)
        middle = len(places) // 2
        for half in (places[:middle], places[middle:]):
            for place, outcome in zip(half, self._apart([sending.futures[at][0] for at in half]), strict=True):
                outcomes[place] = outcome

    def _apart(self, messages: Sequence[Message]) -> list[Receipt | Refused]:
        """These alone, with a new producer where one was refused; halved until a refused one stands by itself."""
        sending = self.send(messages)
        outcomes, failures = self._collect(sending)
        if failures:
            self._discard()
            if not _may_be_refused(failures):
                raise self._failure(failures, len(messages))
            if len(messages) == 1:
                return [self._refused(messages[0], failures[0])]
            self._send_apart(sending, outcomes, failures)
        return [outcome for outcome in outcomes if outcome is not None]

    def _refused(self, message: Message, error: Exception) -> Refused:
        what = f"the message of task {message.key} on topic {self._kafka.topic}"
        return Refused(message.key, f"{self._place} refuses {what}: {_say(error)}.")

    def _failure(self, failures: Mapping[int, Exception], total: int) -> PublishError | NotAllowedError:
        for error in failures.values():
            if isinstance(error, PERMANENT):
                return NotAllowedError(f"{self._place} refuses messages on topic {self._kafka.topic}: {_say(error)}.")
        timeout = self._kafka.delivery_timeout
        return PublishError(
            f"{self._place} did not acknowledge all of {counted(total, 'message')} on topic {self._kafka.topic} "
            f"within {timeout:g} s: {_say(next(iter(failures.values())))}."
        )

    def _ready_producer(self) -> tuple[Any, Mapping[int, TopicPartition]]:
        """The producer, and the topic's partitions by their numbers."""
        if self._producer is not None and self._process != os.getpid():
            self._producer = None  # inherited through a fork: using or closing it would hang
        if self._producer is None:
            self._producer = self._new_producer()
            self._process = os.getpid()
        partitions = self._find_topic()
        if partitions != self._places.keys():
            self._places = {number: TopicPartition(self._kafka.topic, number) for number in partitions}
        return self._producer, self._places

    def _new_producer(self) -> Any:
        kafka = self._kafka
        options: dict[str, Any] = {} if kafka.idempotence else {"max_in_flight_requests_per_connection": 1}
        timeout_ms = round(kafka.delivery_timeout * 1000)
        check_login(kafka)
        try:
            return QuickProducer(
                client_id="opsconsole",
                acks="all",
                enable_idempotence=kafka.idempotence,
                compression_type=None if kafka.compression == "none" else kafka.compression,
                linger_ms=LINGER_MS,
                batch_size=BATCH_BYTES,
                delivery_timeout_ms=timeout_ms,
                # Room for a second try within the delivery timeout.
                request_timeout_ms=max(500, min(10_000, timeout_ms // 2)),
                max_block_ms=round(BOOTSTRAP_SECONDS * 1000),
                bootstrap_timeout_ms=round(BOOTSTRAP_SECONDS * 1000),
                reconnect_backoff_max_ms=1_000,
                # A misspelt topic must fail, not come into being.
                allow_auto_create_topics=False,
                metrics_enabled=False,
                **client_settings(kafka),
                **options,
            )
        except errors.KafkaError as error:
            raise self._unreachable(error) from error
        except (RuntimeError, ValueError) as error:  # a compression whose package is not installed
            raise OutsideDataError(f"{self._place} cannot be used as the estate says: {error}.") from error

    def _find_topic(self) -> set[int]:
        """The topic's partitions, asked for where they are not known: an absent broker or topic is told in seconds and
        by name."""
        try:
            partitions: set[int] = self._producer.partitions_for(self._kafka.topic)
        except errors.KafkaError as error:
            # bootstrap_connected() of 3.0.12 says the contrary of its name; brokers are known once one has answered.
            reached = bool(self._producer._metadata.brokers())  # noqa: SLF001
            self._discard()
            if isinstance(error, PERMANENT):
                sentence = f"{self._place} does not let this console use topic {self._kafka.topic}: {_say(error)}."
                raise NotAllowedError(sentence) from error
            if reached:
                raise PublishError(f"{self._place} answers but has no topic {self._kafka.topic}.") from error
            raise self._unreachable(error) from error
        return partitions

    def _unreachable(self, error: Exception) -> PublishError:
        return PublishError(f"{self._place} did not answer within {BOOTSTRAP_SECONDS:g} s: {_say(error)}.")

    def _discard(self) -> None:
        producer, self._producer = self._producer, None
        if producer is None or self._process != os.getpid():
            return
        try:
            producer.close(timeout=CLOSE_SECONDS)
        except errors.KafkaError:
            # close() raises where its flush did not finish, and then leaves the sending thread alive.
            producer._sender.force_close()  # noqa: SLF001


def _may_be_refused(failures: Mapping[int, Exception]) -> bool:
    return any(isinstance(error, PER_MESSAGE) for error in failures.values())


def _say(error: Exception) -> str:
    return shorten(str(error).rstrip(".") or type(error).__name__, 200, placeholder="...")
