"""So many calls a minute for each token, counted in Redis for all web processes together.

Counters may be lost: state that matters is not here. Where Redis is away each process counts for itself.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus

import django_rq
from django.conf import settings
from limits import RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import FixedWindowRateLimiter

from opsconsole.api.problems import ProblemError

NAMESPACE = "opsconsole-api"


@dataclass(frozen=True, slots=True)
class Standing:
    """What is left of a caller's minute; `reset` in seconds from now."""

    limit: int
    remaining: int
    reset: int
    allowed: bool

    @property
    def headers(self) -> dict[str, str]:
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset),
        }


def count(who: str, per_minute: int) -> Standing:
    """Count one call of `who`. Two round trips to Redis."""
    item = RateLimitItemPerMinute(per_minute, namespace=NAMESPACE)
    try:
        return _count(_shared(settings.RQ_QUEUES["default"]["URL"]), item, who)
    except StorageError:
        return _count(_own(), item, who)


def require_within(standing: Standing) -> None:
    """Raises ProblemError 429."""
    if not standing.allowed:
        detail = f"More than {standing.limit:,} calls a minute; the next may come in {standing.reset} s."
        headers = {"Retry-After": str(standing.reset)}
        raise ProblemError(HTTPStatus.TOO_MANY_REQUESTS, "too-many-requests", detail, headers)


def _count(limiter: FixedWindowRateLimiter, item: RateLimitItemPerMinute, who: str) -> Standing:
    allowed = limiter.hit(item, who)
    window = limiter.get_window_stats(item, who)
    reset = max(math.ceil(window.reset_time - time.time()), 1)
    return Standing(item.amount, max(window.remaining, 0), reset, allowed)


@cache
def _shared(redis_url: str) -> FixedWindowRateLimiter:
    pool = django_rq.get_connection("default").connection_pool
    return FixedWindowRateLimiter(RedisStorage("redis://", connection_pool=pool, wrap_exceptions=True))


@cache
def _own() -> FixedWindowRateLimiter:
    return FixedWindowRateLimiter(MemoryStorage())
