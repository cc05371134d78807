"""Whether messages may go out now: pure, on plain values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from opsconsole.words import counted

ESTATE = "the estate"

RESUME_SHARE = 0.8
"""A job that waits for the lag goes on at this share of the limit: at the limit itself it would stop and go with every
reading."""

UNKNOWN_PATIENCE = 60.0
"""Seconds a job waits for a figure that cannot be read. Then the attempt fails, and is tried again later: nobody knows
whether the indexer keeps up, and a job that waits for good is one that nobody looks at."""


class Cause(StrEnum):
    STOPPED = "stopped"
    LAG = "lag"
    SOURCE = "source"


@dataclass(frozen=True, slots=True)
class Rate:
    """So many messages a second (0: none at all) for all that publish under `name` together; `whose` is for people."""

    name: str
    whose: str
    per_second: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds for one job now. Of several rates each holds; `lag` is the least of the lag limits. None: no limit."""

    rates: tuple[Rate, ...] = ()
    lag: int | None = None
    lag_whose: str = ESTATE
    source_condition: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was last read. A figure is None where it is not limited, or could not be read: then `*_error` says why."""

    lag: int | None = None
    lag_error: str = ""
    source: bool | None = None
    source_error: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """Why nothing may go out. `unknown`: a figure could not be read, which is borne for a while only."""

    cause: Cause
    reason: str
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class Bucket:
    """Messages that may still go out at a rate, as they were `age` seconds ago."""

    tokens: float
    age: float


def judge(limits: Limits, figures: Figures, group: str, waiting: Cause | None) -> Wait | None:
    """None where messages may go, as far as lag and source are concerned. `waiting`: what the job waits for so far."""
    return _stopped(limits) or _lag(limits, figures, group, waiting) or _source(limits, figures)


def _stopped(limits: Limits) -> Wait | None:
    whose = next((rate.whose for rate in limits.rates if rate.per_second == 0), None)
    return Wait(Cause.STOPPED, f"{whose} lets no messages out, its rate is 0 a second") if whose else None


def _lag(limits: Limits, figures: Figures, group: str, waiting: Cause | None) -> Wait | None:
    limit = limits.lag
    if limit is None:
        return None
    if figures.lag is None:
        return Wait(Cause.LAG, f"the lag of the group {group} is not known: {figures.lag_error}", unknown=True)
    if figures.lag <= (resume_at(limit) if waiting is Cause.LAG else limit):
        return None
    reason = (
        f"the group {group} is {counted(figures.lag, 'message')} behind, the limit of {limits.lag_whose} is {limit:,}"
    )
    return Wait(Cause.LAG, f"{reason} and it goes on at {resume_at(limit):,}")


def _source(limits: Limits, figures: Figures) -> Wait | None:
    if not limits.source_condition:
        return None
    if figures.source_error:
        reason = f"the estate's condition on the source could not be asked: {figures.source_error}"
        return Wait(Cause.SOURCE, reason, unknown=True)
    return None if figures.source else Wait(Cause.SOURCE, "the estate's condition on the source is not true")


def resume_at(limit: int) -> int:
    """The lag at which a job that waited for it goes on."""
    return int(limit * RESUME_SHARE)


def gives_up(unknown_since: float | None, now: float) -> bool:
    """Whether a figure has not been known for too long. Times by one clock, in seconds; None: it is known."""
    return unknown_since is not None and now - unknown_since > UNKNOWN_PATIENCE


def portion(rates: tuple[Rate, ...], messages: int) -> int:
    """How many of `messages` go out at once: half a second's worth, so that what is left does not overflow a bucket
    while a portion is under way. Rates of 0 are `judge`'s to stop."""
    return min([messages, *(max(rate.per_second // 2, 1) for rate in rates)])


def available(bucket: Bucket, per_second: int) -> float:
    """Messages that may go out now. A bucket holds a second's worth: what was not used before is not made up for."""
    return min(bucket.tokens + max(bucket.age, 0.0) * per_second, float(max(per_second, 1)))


def seconds_until(messages: int, tokens: float, per_second: int) -> float:
    """How long until so many messages may go; 0 where they may now."""
    return max(messages - tokens, 0.0) / per_second
