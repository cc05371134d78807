"""One table of what can go wrong in a job, and whether trying again can help."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b

import django.db
from redis.exceptions import RedisError

from opsconsole.errors import OutsideDataError, UnavailableError, UsageError
from sync.engine.walk import OutOfOrderError

RETRY_DELAYS = (timedelta(minutes=5), timedelta(minutes=10), timedelta(minutes=20))

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


FINGERPRINT_BYTES = 8
FINGERPRINTED = 4_000  # characters; some errors carry a whole answer with them

# What differs between two errors that are the same one, in this order: an address may hold an id, an id a number.
_VARYING = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\b[a-z][a-z0-9+.-]*://[^\s'\"<>]*[\w/]",
        r"[^\s@'\"<>]{1,64}@[\w.-]+\w",
        r"(?<!\w)'(?:[^'\n]|'(?=\w))*'(?!\w)|\"[^\"\n]*\"|`[^`\n]*`",
        r"\b[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\b",
        r"\[?(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}\]?(?::\d+)?",
        r"\b[a-z0-9.-]+:\d+\b|\b(?:[a-z0-9-]+\.){2,}[a-z]{2,}\b",
        r"\b0x[0-9a-f]+\b|\b(?=[a-f]*\d)[0-9a-f]{8,}\b",
        r"[+-]?\d+(?:[.,:]\d+)*",
    )
)
_SEVERAL = re.compile(r"#(?:[,;]? ?#)+")


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


def fingerprint(error_type: str, sentence: str) -> str:
    """16 hexadecimal digits, the same for the same error met with other ids, numbers, quoted values or addresses.

    Empty where there is no sentence.
    """
    if not sentence:
        return ""
    sentence = sentence[:FINGERPRINTED]
    for pattern in _VARYING:
        sentence = pattern.sub("#", sentence)
    sentence = _SEVERAL.sub("#", " ".join(sentence.split()))
    return blake2b(f"{error_type}\n{sentence}".encode(), digest_size=FINGERPRINT_BYTES).hexdigest()


def _sentence(error: BaseException) -> str:
    return str(error).strip() or type(error).__name__


def retry_delay(failures_before: int) -> timedelta | None:
    """How long to wait after the failure number `failures_before + 1`; None when the retries are used up."""
    return RETRY_DELAYS[failures_before] if failures_before < len(RETRY_DELAYS) else None
