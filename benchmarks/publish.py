"""Publishing 200,000 drifted tasks, the whole job of mode sync, against a bare kafka-python loop.

Both send the same messages with the same producer settings and see every acknowledgement. No indexer runs: on one
machine it would only take turns with what is measured. So the job's verification looks once and gives up.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from uuid import UUID, uuid4

from kafka import KafkaProducer

from benchmarks.checking import check_and_expect
from benchmarks.companies import SMALL_OF_MEMORY, memory_company, only_organization
from benchmarks.measurement import Goal, Measurement, in_turn
from benchmarks.stage import COMPARED, Stage
from opsconsole import estate
from sync.engine.messages import Message, MessageWriter
from sync.engine.rows import DriftKind, Finding
from sync.engine.written import state_of
from sync.models import Mode
from sync.publisher import BATCH_BYTES, LINGER_MS
from sync.source import Source

COMMAND = 'make bench ARGS="publish"'
PAGE = 5_000


def measure(stage: Stage) -> Iterator[Measurement]:
    company = memory_company(stage)
    organization = only_organization(company, SMALL_OF_MEMORY)
    drift = company.spread_drift(organization, 1.0)
    # This process has the bound's messages, too, and all that was measured before: more than a job may use.
    stage.use(company, settle_time="2s", verify_timeout="1ms", memory_limit="4GiB")
    messages = list(_messages(organization))
    ours, bound = partial(check_and_expect, organization, drift, Mode.SYNC), partial(_send_bare, messages)
    took = in_turn({"ours": ours, "bound": bound}, stage.repeats)
    rates = {name: drift / seconds for name, seconds in took.items()}
    goal = Goal(0.85, at_most=False)
    name = f"publishing {drift:,} drifted tasks, against a bare loop"
    yield Measurement(name, rates["ours"], rates["bound"], goal, COMMAND, "/s")
    company.spread_drift(organization, 0)


def _messages(organization: UUID) -> Iterator[Message]:
    """What the job publishes; for a task that is gone a tombstone."""
    writer = MessageWriter(job_id="1", trace_id=str(uuid4()), number_keys=False, now=lambda: datetime.now(UTC))
    after = None
    with Source(estate.current().source) as source:
        while page := source.page(organization, after, PAGE):
            for row in page:
                kind = DriftKind.ORPHAN if row.deleted else DriftKind.STALE
                finding = Finding(str(row.key), kind, state_of(row, COMPARED), None)
                yield writer.message(finding)
            after = page[-1].key


def _send_bare(messages: list[Message]) -> None:
    kafka = estate.current().kafka
    producer = KafkaProducer(
        bootstrap_servers=list(kafka.bootstrap_servers),
        acks="all",
        enable_idempotence=kafka.idempotence,
        compression_type=kafka.compression,
        linger_ms=LINGER_MS,
        batch_size=BATCH_BYTES,
        delivery_timeout_ms=120_000,
        metrics_enabled=False,
        api_version=kafka.api_version,
    )
    try:
        futures = [
            producer.send(kafka.topic, message.value, key=str(message.key).encode(), headers=list(message.headers))
            for message in messages
        ]
        for future in futures:
            future.get(timeout=120)
    finally:
        producer.close(timeout=5)
