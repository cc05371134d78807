"""Where the counters of attempts are kept: in Redis, and in each process alone while Redis is away.

Nobody is to be locked out of the console because Redis is down, and nobody is to be let in without limits.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError


class SteadyCache(RedisCache):
    """Django's Redis cache; each call that Redis does not answer goes to this process's own memory."""

    def __init__(self, server: Any, params: dict[str, Any]) -> None:
        super().__init__(server or settings.REDIS_URL, params)
        self._own = LocMemCache("attempts", params)
        self._made_for = ""

    _class: Any
    _options: dict[str, Any]

    @property
    def _cache(self) -> Any:
        """Of the settings as they are now: tests learn where their Redis is after this was made."""
        if self._made_for != settings.REDIS_URL:
            self._made_for = settings.REDIS_URL
            self._client = self._class([settings.REDIS_URL], **self._options)
        return self._client

    def add(self, *args: Any, **kwargs: Any) -> Any:
        return self._first("add", args, kwargs)

    def get(self, *args: Any, **kwargs: Any) -> Any:
        return self._first("get", args, kwargs)

    def set(self, *args: Any, **kwargs: Any) -> Any:
        return self._first("set", args, kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        return self._first("delete", args, kwargs)

    def clear(self) -> None:
        """Forget the counters alone: Django's own empties the database, and the queues are in it."""
        client = self._cache.get_client(None, write=True)
        for key in client.scan_iter(f"{self.key_prefix}:*"):
            client.delete(key)
        self._own.clear()

    def _first(self, act: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            return getattr(RedisCache, act)(self, *args, **kwargs)
        except RedisError:
            return getattr(self._own, act)(*args, **kwargs)
