"""Queues from which workers take nothing for now.

The truth is a table of the monitoring; workers read this copy in Redis, which costs them no database connection. The
clock writes it again every few seconds, so it comes back after Redis was emptied.
"""

from __future__ import annotations

from collections.abc import Collection

from redis import Redis
from rq.utils import as_text

PAUSED_KEY = "opsconsole:paused-queues"


def paused_queues(connection: Redis) -> frozenset[str]:
    """Names of the paused queues. One command; raises RedisError."""
    return frozenset(as_text(name) for name in connection.smembers(PAUSED_KEY))


def write_paused(connection: Redis, names: Collection[str]) -> None:
    """Make these the paused queues, at once. Raises RedisError."""
    with connection.pipeline(transaction=True) as pipeline:
        pipeline.delete(PAUSED_KEY)
        if names:
            pipeline.sadd(PAUSED_KEY, *names)
        pipeline.execute()
