"""What must hold for the console to do its work: checks that every part declares, asked by `/healthz` and the clock.

Only names are told. A check reads the console's own database or Redis, bounded, and says whether all is well.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import DatabaseError, connection
from redis.exceptions import RedisError

from opsconsole.clock import beat

logger = logging.getLogger(__name__)

Holds = Callable[[datetime], bool]

CLOCK_SILENT_AFTER = timedelta(seconds=30)
DATABASE = "database"
REDIS = "redis"

_checks: dict[str, Holds] = {}


def health_check(name: str) -> Callable[[Holds], Holds]:
    """Declare the check `name`: its function gets the present time and says whether all is well."""

    def register(holds: Holds) -> Holds:
        _checks[name] = holds
        return holds

    return register


def failed_checks(now: datetime) -> list[str]:
    """Names of what does not hold, none where all is well. Without its database nothing else can be told."""
    failed: set[str] = set()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        for name, holds in _checks.items():
            try:
                if not holds(now):
                    failed.add(name)
            except RedisError as error:
                logger.warning("Redis cannot be reached: %s", error)
                failed.add(REDIS)
    except DatabaseError as error:
        logger.warning("the console's database cannot be asked: %s", str(error).strip())
        return [DATABASE]
    return sorted(failed)


@health_check("clock")
def clock_beats(now: datetime) -> bool:
    return beat.is_heard(CLOCK_SILENT_AFTER)
