"""The only code that speaks kafka-python to produce.

A publish ends when the broker has acknowledged every message of the call, or with an error after each was looked at.

Two facts of kafka-python 3.0 shape this file. `flush()` returns normally although messages failed, so each future is
asked. And an idempotent producer can wedge for good once a batch under retry has expired: nothing goes out any more,
even after the broker is back. So a producer that had any failure is thrown away, and the next call makes a new one;
that one has a new producer id, so what it sends again is a second copy, which at-least-once consumers expect.

Where the estate says `idempotence = false`, one request at a time is in flight: a retry could otherwise overtake a
later message of the same task.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import shorten
from time import monotonic
from typing import Any

from kafka import KafkaProducer, errors

from opsconsole.closing import Closing
from opsconsole.errors import OutsideDataError, UnavailableError
from opsconsole.estate import model
from opsconsole.keys import Key
from sync.engine.messages import Message

BOOTSTRAP_SECONDS = 5.0
LINGER_MS = 5
BATCH_BYTES = 256 * 1024
CLOSE_SECONDS = 1.0

# Errors that sending again cannot change. Everything else passes, at the latest with a new producer.
PERMANENT = (
    errors.MessageSizeTooLargeError,
    errors.RecordListTooLargeError,
    errors.AuthorizationError,
    errors.SaslAuthenticationFailedError,
    errors.UnsupportedSaslMechanismError,
    errors.InvalidTopicError,
    errors.InvalidRecordError,
    errors.InvalidTimestampError,
    errors.InvalidRequiredAcksError,
    errors.PolicyViolationError,
    errors.UnsupportedCompressionTypeError,
    errors.UnsupportedForMessageFormatError,
)


class PublishError(UnavailableError):
    """The broker did not acknowledge everything in time. Which messages arrived is not known: publish all again."""


class MessageRefusedError(OutsideDataError):
    """The broker will never take this message. `key` is the task's."""

    def __init__(self, sentence: str, key: Key | None = None) -> None:
        super().__init__(sentence)
        self.key = key


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where the broker put a message."""

    key: Key
    partition: int
    offset: int


class Publisher(Closing):
    """Publishes to the estate's topic. A context manager; the producer is made with the first message, after a fork."""

    def __init__(self, kafka: model.Kafka) -> None:
        self._kafka = kafka
        self._producer: Any = None
        self._process = os.getpid()

    def close(self) -> None:
        """Ends the producer. Nothing is under way then: `publish` has waited for everything."""
        self._discard()

    @property
    def _place(self) -> str:
        return f"Kafka ({', '.join(self._kafka.bootstrap_servers)})"

    def publish(self, messages: Sequence[Message]) -> list[Receipt]:
        """Sends all and waits for every acknowledgement, at most the estate's delivery timeout. Receipts in order.

        Raises MessageRefusedError where the broker will never take one of them, else PublishError where any is not
        acknowledged; in both cases others may have been delivered.
        """
        if not messages:
            return []
        ends = monotonic() + self._kafka.delivery_timeout
        producer = self._ready_producer()
        failures: list[tuple[Message, Exception]] = []
        futures = [(message, self._send(producer, message, failures)) for message in messages]
        receipts = self._collect(futures, ends, failures)
        if failures:
            self._discard()
            raise self._failure(failures, len(messages))
        return receipts

    def _send(self, producer: Any, message: Message, failures: list[tuple[Message, Exception]]) -> Any:
        """The future, or None after a failure. After the first nothing more is sent: each could wait for as long."""
        if failures:
            return None
        try:
            return producer.send(
                self._kafka.topic, message.value, key=str(message.key).encode(), headers=list(message.headers)
            )
        except errors.KafkaError as error:
            failures.append((message, error))
            return None

    def _collect(
        self, futures: Sequence[tuple[Message, Any]], ends: float, failures: list[tuple[Message, Exception]]
    ) -> list[Receipt]:
        receipts = []
        for message, future in futures:
            if future is None:
                continue
            try:
                record = future.get(timeout=max(0.0, ends - monotonic()))
            except errors.KafkaError as error:
                failures.append((message, error))
            else:
                receipts.append(Receipt(message.key, record.partition, record.offset))
        return receipts

    def _failure(self, failures: Sequence[tuple[Message, Exception]], total: int) -> PublishError | MessageRefusedError:
        for message, error in failures:
            if isinstance(error, PERMANENT):
                what = f"the message of task {message.key} on topic {self._kafka.topic}"
                return MessageRefusedError(f"{self._place} refuses {what}: {_say(error)}.", message.key)
        timeout = self._kafka.delivery_timeout
        return PublishError(
            f"{self._place} did not acknowledge all of {total} messages on topic {self._kafka.topic} "
            f"within {timeout:g} s: {_say(failures[0][1])}."
        )

    def _ready_producer(self) -> Any:
        if self._producer is not None and self._process != os.getpid():
            self._producer = None  # inherited through a fork: using or closing it would hang
        if self._producer is None:
            self._producer = self._new_producer()
            self._process = os.getpid()
            self._find_topic()
        return self._producer

    def _new_producer(self) -> Any:
        kafka = self._kafka
        options: dict[str, Any] = {} if kafka.idempotence else {"max_in_flight_requests_per_connection": 1}
        timeout_ms = round(kafka.delivery_timeout * 1000)
        try:
            return KafkaProducer(
                bootstrap_servers=list(kafka.bootstrap_servers),
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
                api_version=kafka.api_version,
                **options,
            )
        except errors.KafkaError as error:
            raise self._unreachable(error) from error
        except (RuntimeError, ValueError) as error:  # a compression whose package is not installed
            raise OutsideDataError(f"{self._place} cannot be used as the estate says: {error}.") from error

    def _find_topic(self) -> None:
        """Asks for the topic's partitions, so that an absent broker or topic is told in seconds and by name."""
        try:
            self._producer.partitions_for(self._kafka.topic)
        except errors.KafkaError as error:
            # bootstrap_connected() of 3.0.12 says the contrary of its name; brokers are known once one has answered.
            reached = bool(self._producer._metadata.brokers())  # noqa: SLF001
            self._discard()
            if isinstance(error, PERMANENT):
                sentence = f"{self._place} does not let this console use topic {self._kafka.topic}: {_say(error)}."
                raise MessageRefusedError(sentence) from error
            if reached:
                raise PublishError(f"{self._place} answers but has no topic {self._kafka.topic}.") from error
            raise self._unreachable(error) from error

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


def _say(error: Exception) -> str:
    return shorten(str(error).rstrip(".") or type(error).__name__, 200, placeholder="...")
