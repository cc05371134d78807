"""Reading RQ's registries as they are: nothing is cleaned up, no callback runs, and nothing is unpickled."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError
from redis.retry import Retry
from rq.intermediate_queue import IntermediateQueue
from rq.job import Job as RqJob
from rq.queue import Queue
from rq.registry import (
    BaseRegistry,
    DeferredJobRegistry,
    FailedJobRegistry,
    FinishedJobRegistry,
    ScheduledJobRegistry,
    StartedJobRegistry,
)
from rq.utils import utcparse
from rq.worker_registration import REDIS_WORKER_KEYS

from sync.registries.values import LIST_PLACES, MOST_READ, Entry, Place, Registry, Snapshot

TIMEOUT_SECONDS = 2.0
LARGEST_MESSAGE = 65_536
"""Bytes of a message that are looked at: more is none of the console's."""

MESSAGE_PARTS = 4
"""Function, instance, arguments, arguments by name."""

WORKER_PREFIX = b"rq:worker:"
MESSAGE_FIELDS = ("data", "created_at", "enqueued_at", "ended_at")
SETS: dict[Place, type[BaseRegistry]] = {
    Place.STARTED: StartedJobRegistry,
    Place.SCHEDULED: ScheduledJobRegistry,
    Place.DEFERRED: DeferredJobRegistry,
    Place.FAILED: FailedJobRegistry,
    Place.FINISHED: FinishedJobRegistry,
}


def connect() -> Redis:
    """A connection that gives up soon and does not try twice. Close it."""
    return Redis.from_url(
        str(settings.RQ_QUEUES[settings.QUEUES[0]]["URL"]),
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def key_of_place(queue: str, place: Place) -> str:
    """The key in Redis."""
    key = f"{Queue.redis_queue_namespace_prefix}{queue}"
    if place is Place.WAITING:
        return key
    if place is Place.INTERMEDIATE:
        return IntermediateQueue.get_intermediate_queue_key(key)
    return SETS[place].key_template.format(queue)


def read(connection: Redis) -> Snapshot:
    """All registries, the oldest thousand entries of each. Two round trips, and two for each that is not empty.

    Raises RedisError.
    """
    places = [(queue, place) for queue in settings.QUEUES for place in Place]
    with connection.pipeline(transaction=False) as pipeline:
        for queue, place in places:
            key = key_of_place(queue, place)
            if place in LIST_PLACES:
                pipeline.llen(key)
                pipeline.lrange(key, 0, MOST_READ - 1)
            else:
                pipeline.zcard(key)
                pipeline.zrange(key, 0, MOST_READ - 1)
        pipeline.smembers(REDIS_WORKER_KEYS)
        *found, worker_keys = pipeline.execute()
    workers = _workers(connection, sorted(worker_keys))
    registries = []
    for (queue, place), count, members in zip(places, found[::2], found[1::2], strict=True):
        registries.append(Registry(queue, place, count, _entries(connection, queue, place, members, workers)))
    return Snapshot(tuple(registries), frozenset(workers))


def waiting_ids(connection: Redis) -> list[str]:
    """All ids that wait in a queue, as the clock reads them. Raises RedisError."""
    found = [connection.lrange(key_of_place(queue, Place.WAITING), 0, -1) for queue in settings.QUEUES]
    return [_text(member) for members in found for member in members]


def _workers(connection: Redis, keys: Sequence[bytes]) -> dict[str, str]:
    """The workers that RQ has a sign of life of, and the RQ id that each says it is at."""
    with connection.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.hmget(key, "last_heartbeat", "current_job")
        found = pipeline.execute(raise_on_error=False)
    return {
        _text(key.removeprefix(WORKER_PREFIX)): _text(values[1] or b"")
        for key, values in zip(keys, found, strict=True)
        if not isinstance(values, ResponseError) and values[0]
    }


def _entries(
    connection: Redis, queue: str, place: Place, members: Sequence[bytes], workers: dict[str, str]
) -> tuple[Entry, ...]:
    if not members:
        return ()
    ids = [_id_of(place, member) for member in members]
    with connection.pipeline(transaction=False) as pipeline:
        for rq_id, member in zip(ids, members, strict=True):
            pipeline.hmget(message_key(rq_id), *MESSAGE_FIELDS)
            pipeline.hmget(execution_key(member), "created_at", "worker_name")
        found = pipeline.execute(raise_on_error=False)
    messages, executions = [_values(one, 4) for one in found[::2]], [_values(one, 2) for one in found[1::2]]
    # Once Redis was emptied, a worker at work is not on RQ's list of workers any more, but still gives signs of life.
    named = {WORKER_PREFIX + execution[1] for execution in executions if execution[1]}
    workers |= _workers(connection, sorted(named))
    return tuple(
        _entry(queue, place, member, _text(rq_id), message, execution, workers)
        for member, rq_id, message, execution in zip(members, ids, messages, executions, strict=True)
    )


def id_in(entry: Entry) -> bytes:
    """The id in an entry, byte by byte."""
    return _id_of(entry.place, entry.member)


def _id_of(place: Place, member: bytes) -> bytes:
    """What is started is there as `id:execution`."""
    return member.rpartition(b":")[0] or member if place is Place.STARTED else member


def message_key(rq_id: bytes) -> bytes:
    return RqJob.redis_job_namespace_prefix.encode() + rq_id


def execution_key(member: bytes) -> bytes:
    return b"rq:execution:" + member


def _values(found: Any, count: int) -> list[bytes | None]:
    """What is there under a key; nothing where the key is of another kind."""
    return [None] * count if isinstance(found, ResponseError) else list(found)


def _entry(
    queue: str,
    place: Place,
    member: bytes,
    rq_id: str,
    message: Sequence[bytes | None],
    execution: Sequence[bytes | None],
    workers: dict[str, str],
) -> Entry:
    data, created, enqueued, ended = message
    worker = _text(execution[1] or b"")
    if place is Place.STARTED:
        since = _seconds(execution[0])
    else:
        since = _moment(ended if place in (Place.FAILED, Place.FINISHED) and ended else enqueued or created)
    live = bool(worker) and workers.get(worker) == rq_id
    return Entry(queue, place, member, rq_id, function_of(data), since, worker, live)


def function_of(data: bytes | str | None) -> str:
    """The dotted name in a message; empty for none, for one that is not JSON, and for one that is too large."""
    if not isinstance(data, bytes):
        return ""
    unpacker = zlib.decompressobj()
    try:
        plain = unpacker.decompress(data, LARGEST_MESSAGE)
    except zlib.error:
        plain = data[:LARGEST_MESSAGE]  # RQ takes what is not compressed as it is
    try:
        values = json.loads(plain)
    except (ValueError, RecursionError):
        return ""
    named = isinstance(values, list) and len(values) == MESSAGE_PARTS and isinstance(values[0], str)
    return values[0][:200] if named else ""


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode(errors="replace")


def _moment(text: bytes | None) -> datetime | None:
    try:
        moment = utcparse(_text(text or b""))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _seconds(text: bytes | None) -> datetime | None:
    try:
        return datetime.fromtimestamp(float(text or b""), UTC)
    except (ValueError, OverflowError, OSError):
        return None
