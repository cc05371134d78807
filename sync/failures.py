"""One table of what can go wrong in a job, and whether trying again can help."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import django.db
from redis.exceptions import RedisError

from opsconsole.errors import OutsideDataError, UnavailableError, UsageError
from sync.engine.walk import OutOfOrderError

RETRY_DELAYS = (timedelta(minutes=5), timedelta(minutes=10), timedelta(minutes=20))
LOOPING_AFTER = 3
"""Attempts in a row that end badly without the checkpoint moving, until the job counts as looping."""

TRANSIENT = True
PERMANENT = False

# First match wins. Anything not listed is a defect of ours: it is retried, since a fresh start may help, and reported.
_TABLE: tuple[tuple[type[BaseException], bool], ...] = (
    (UnavailableError, TRANSIENT),
    (OutsideDataError, PERMANENT),
    (OutOfOrderError, PERMANENT),
    (UsageError, PERMANENT),
    (django.db.OperationalError, TRANSIENT),
    (django.db.InterfaceError, TRANSIENT),
    (RedisError, TRANSIENT),
)


@dataclass(frozen=True, slots=True)
class Failure:
    """What an exception means for a job. `known` is False for a defect, whose traceback belongs in the log."""

    sentence: str
    error_type: str
    transient: bool
    known: bool


def classify(error: BaseException) -> Failure:
    for error_class, transient in _TABLE:
        if isinstance(error, error_class):
            return Failure(_sentence(error), type(error).__name__, transient, known=True)
    return Failure(f"Unexpected {type(error).__name__}: {error}", type(error).__name__, TRANSIENT, known=False)


def _sentence(error: BaseException) -> str:
    return str(error).strip() or type(error).__name__


def retry_delay(failures_before: int) -> timedelta | None:
    """How long to wait after the failure number `failures_before + 1`; None when the retries are used up."""
    return RETRY_DELAYS[failures_before] if failures_before < len(RETRY_DELAYS) else None
