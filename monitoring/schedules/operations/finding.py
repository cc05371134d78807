"""Missed runs as they are found: said in one sentence, in the clock's log."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from opsconsole.words import counted, duration

logger = logging.getLogger(__name__)

MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Found:
    """`count` due times of a job that did not run in time, the first one at `due_at`; `what` says what follows."""

    name: str
    due_at: datetime
    what: str
    count: int = 1


def sentence_of(found: Sequence[Found], now: datetime) -> str:
    """ "Found 3 missed runs: nightly-sync, due 45 minutes ago (runs now); ..." Pure."""
    total = sum(one.count for one in found)
    named = "; ".join(_named(one, now) for one in found[:MOST_NAMED])
    more = f"; and {len(found) - MOST_NAMED:,} more" if len(found) > MOST_NAMED else ""
    return f"Found {counted(total, 'missed run')}: {named}{more}."


def _named(one: Found, now: datetime) -> str:
    times = f", {one.count:,} times" if one.count > 1 else ""
    return f"{one.name}, due {duration((now - one.due_at).total_seconds())} ago{times} ({one.what})"


def say_found(found: Sequence[Found], now: datetime) -> None:
    """Into the log, as a warning. Call it after the commit. Nothing where nothing was found."""
    if found:
        logger.warning("%s", sentence_of(found, now))
