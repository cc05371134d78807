"""How many messages were ever taken from each queue, counted in Redis. What came in follows from this and the depths.

Only for people to look at: a count that is lost with Redis starts again at nothing.
"""

from __future__ import annotations

from redis import Redis

TAKEN_KEY = "opsconsole:taken"


def count_taken(connection: Redis, queue: str, messages: int) -> None:
    """So many messages more. One command; raises RedisError."""
    connection.hincrby(TAKEN_KEY, queue, messages)
