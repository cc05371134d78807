"""The company's indexer: `python -m opsconsole.demo.indexer` keeps the index database up with the topic.

It stands for the indexing service that the console does not own, and shares no code with the console. Environment:
INDEX_OWNER_DATABASE_URL, KAFKA_BOOTSTRAP_SERVERS, KAFKA_API_VERSION (such as 2.3; unset means found out), TASK_TOPIC,
TASK_CONSUMER_GROUP. SIGTERM ends it after the batch in hand. A database or broker that goes away is waited for.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from kafka import KafkaConsumer
from kafka.errors import KafkaError

from opsconsole.demo.index_writer import Message, UnreadableMessageError, apply, read_message

log = logging.getLogger("indexer")
TOPIC, GROUP = "task-updates", "task-indexer"
POLL_MS = 500
BATCH = 1_000
PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class Settings:
    index_url: str
    bootstrap: str
    api_version: tuple[int, ...] | None
    topic: str = TOPIC
    group: str = GROUP


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Raises SystemExit with a sentence where a variable is missing."""
    missing = [name for name in ("INDEX_OWNER_DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS") if not environment.get(name)]
    if missing:
        raise SystemExit(f"The indexer needs {' and '.join(missing)} in its environment.")
    version = environment.get("KAFKA_API_VERSION", "")
    return Settings(
        index_url=environment["INDEX_OWNER_DATABASE_URL"],
        bootstrap=environment["KAFKA_BOOTSTRAP_SERVERS"],
        api_version=tuple(int(part) for part in version.split(".")) if version else None,
        topic=environment.get("TASK_TOPIC", TOPIC),
        group=environment.get("TASK_CONSUMER_GROUP", GROUP),
    )


class Indexer:
    """Consume, write, then commit the offsets: after a crash a batch is applied again, which changes nothing."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stop = threading.Event()

    def stop(self) -> None:
        self._stop.set()

    def run(self) -> None:
        """Until `stop`; each broken connection to the broker is made anew after a second."""
        while not self._stop.is_set():
            try:
                self._consume()
            except KafkaError as error:
                log.warning("The broker went away (%s); trying again.", error)
                self._stop.wait(PAUSE)

    def _consume(self) -> None:
        consumer = self._open_consumer()
        try:
            while not self._stop.is_set():
                polled = consumer.poll(timeout_ms=POLL_MS, max_records=BATCH)
                messages = [m for records in polled.values() for record in records if (m := _readable(record))]
                if self._store(messages) and polled:
                    consumer.commit()
        finally:
            _close(consumer)

    def _open_consumer(self) -> Any:
        settings = self._settings
        return KafkaConsumer(
            settings.topic,
            bootstrap_servers=settings.bootstrap.split(","),
            group_id=settings.group,
            client_id="indexer",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            **({"api_version": settings.api_version} if settings.api_version else {}),
        )

    def _store(self, messages: list[Message]) -> bool:
        """Write the batch, waiting for the database as long as it takes. False: told to stop before it was written."""
        while messages and not self._stop.is_set():
            try:
                with psycopg.connect(self._settings.index_url, connect_timeout=5) as connection:
                    written = apply(connection, messages)
            except psycopg.OperationalError as error:
                log.warning("The index database is away (%s); trying again.", str(error).strip())
                self._stop.wait(PAUSE)
                continue
            log.info("%d messages, %d written", len(messages), written)
            return True
        return not messages


def _readable(record: Any) -> Message | None:
    try:
        return read_message(record.key, record.value, record.headers)
    except UnreadableMessageError as error:
        log.warning("Message %d of partition %d is left out: %s", record.offset, record.partition, error)
        return None


def _close(consumer: Any) -> None:
    try:
        consumer.close()
    except KafkaError as error:
        log.warning("Leaving the consumer group failed: %s", error)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("kafka").setLevel(logging.ERROR)
    indexer = Indexer(read_settings(os.environ))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: indexer.stop())
    indexer.run()


if __name__ == "__main__":
    main()
