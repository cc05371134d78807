"""How a monitor stands: pings fold into its state, and the state with the present time says what it is. Pure.

The meaning of pings is that of Healthchecks, so that its clients work as they are: a success or a failure is the last
ping, a start is only a start, a log line changes nothing. Unlike there, every open run is timed, not only the newest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

from opsconsole.due import Schedule, next_due

MOST_OPEN_RUNS = 100
"""Open runs kept; beyond, the oldest is closed as one that will not be heard of again."""

NO_RUNS: Mapping[UUID | None, datetime] = MappingProxyType({})


class PingKind(StrEnum):
    SUCCESS = "success"
    FAIL = "fail"
    START = "start"
    LOG = "log"


class Stored(StrEnum):
    """What is kept of a monitor's status."""

    NEW = "new"
    UP = "up"
    DOWN = "down"
    PAUSED = "paused"


class Status(StrEnum):
    """What a page shows: late is up past its expected time, within the grace."""

    NEW = "new"
    UP = "up"
    LATE = "late"
    DOWN = "down"
    PAUSED = "paused"


class Trouble(StrEnum):
    """What is wrong, each told apart from the others."""

    MISSING_START = "missing_start"
    MISSING_END = "missing_end"
    TOO_LONG = "too_long"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Ping:
    kind: PingKind
    at: datetime
    rid: UUID | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """What is expected of the job. A schedule of None expects nothing but that started runs end."""

    schedule: Schedule | None
    grace: timedelta
    time_limit: timedelta
    failures_to_open: int = 1
    successes_to_close: int = 1
    manual_resume: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """What is kept of a monitor. `runs` are the open ones by run id (None: started without one)."""

    stored: Stored = Stored.NEW
    last_ping: datetime | None = None
    runs: Mapping[UUID | None, datetime] = field(default_factory=lambda: NO_RUNS)
    failures: int = 0
    successes: int = 0
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The state after a ping. `duration` of the run it ended; `opened` and `closed` tell of a trouble that began or is
    over; a silent change of status (from new or paused) closes nothing."""

    state: State
    duration: timedelta | None = None
    opened: Trouble | None = None
    closed: bool = False
    ignored: bool = False


def after_ping(state: State, ping: Ping, rules: Rules) -> Outcome:
    """Fold one ping into the state."""
    if state.stored is Stored.PAUSED and rules.manual_resume:
        return Outcome(state, ignored=True)
    match ping.kind:
        case PingKind.LOG:
            return Outcome(state)
        case PingKind.START:
            return Outcome(replace(state, runs=_with_run(state.runs, ping)))
        case PingKind.SUCCESS:
            return _succeeded(state, ping, rules)
        case PingKind.FAIL:
            return _failed(state, ping, rules)


def _with_run(runs: Mapping[UUID | None, datetime], ping: Ping) -> Mapping[UUID | None, datetime]:
    kept = sorted(runs.items(), key=lambda item: item[1])[-(MOST_OPEN_RUNS - 1) :]
    return MappingProxyType(dict(kept) | {ping.rid: ping.at})


def _succeeded(state: State, ping: Ping, rules: Rules) -> Outcome:
    runs, started = _without_run(state.runs, ping)
    duration = ping.at - started if started else None
    successes = state.successes + 1
    ended = replace(state, last_ping=ping.at, runs=runs, failures=0, successes=successes)
    if duration is not None and duration > rules.time_limit:
        return _open(ended, Trouble.TOO_LONG, duration)
    if state.stored is not Stored.DOWN:
        return Outcome(replace(ended, stored=Stored.UP, trouble=None), duration)
    if successes < rules.successes_to_close:
        return Outcome(ended, duration)
    return Outcome(replace(ended, stored=Stored.UP, trouble=None), duration, closed=True)


def _failed(state: State, ping: Ping, rules: Rules) -> Outcome:
    runs, started = _without_run(state.runs, ping)
    if ping.rid is not None and started is None:
        runs = NO_RUNS  # as its clients expect: a failure ends what was started, whoever started it
    duration = ping.at - started if started else None
    failures = state.failures + 1
    ended = replace(state, last_ping=ping.at, runs=runs, failures=failures, successes=0)
    if failures < rules.failures_to_open and state.stored is not Stored.DOWN:
        return Outcome(replace(ended, stored=Stored.UP), duration)
    return _open(ended, Trouble.FAILED, duration)


def _open(state: State, trouble: Trouble, duration: timedelta | None = None) -> Outcome:
    known = state.stored is Stored.DOWN and state.trouble is trouble
    opened = None if known else trouble
    return Outcome(replace(state, stored=Stored.DOWN, trouble=trouble, successes=0), duration, opened)


def _without_run(
    runs: Mapping[UUID | None, datetime], ping: Ping
) -> tuple[Mapping[UUID | None, datetime], datetime | None]:
    """The runs still open after a ping that ends one, and when that one began. A ping without a run id ends all."""
    if ping.rid is None:
        return NO_RUNS, max(runs.values(), default=None)
    left = {rid: at for rid, at in runs.items() if rid != ping.rid}
    return MappingProxyType(left), runs.get(ping.rid)


def paused(state: State) -> State:
    return replace(state, stored=Stored.PAUSED, runs=NO_RUNS, trouble=None, failures=0, successes=0)


def resumed(state: State) -> State:
    """As new, silently: it is expected again after its next ping."""
    return replace(state, stored=Stored.NEW, last_ping=None)


@dataclass(frozen=True, slots=True)
class Deadline:
    """When a monitor goes down if nothing comes, and for what."""

    at: datetime
    trouble: Trouble


def expected_at(state: State, rules: Rules) -> datetime | None:
    """When the next ping is expected; None for new and paused monitors and where the schedule has no next time."""
    if state.last_ping is None or rules.schedule is None or state.stored is Stored.PAUSED:
        return None
    return next_due(rules.schedule, state.last_ping)


def deadline(state: State, rules: Rules) -> Deadline | None:
    """The first moment at which it is down without another ping; None where it never will be. Down already: None."""
    if state.stored in (Stored.DOWN, Stored.PAUSED):
        return None
    found = []
    expected = expected_at(state, rules)
    if expected is not None and not any(at >= expected for at in state.runs.values()):
        found.append(Deadline(expected + rules.grace, Trouble.MISSING_START))
    if state.runs:
        found.append(Deadline(min(state.runs.values()) + rules.time_limit, Trouble.MISSING_END))
    return min(found, key=lambda one: one.at, default=None)


def status_at(state: State, rules: Rules, now: datetime) -> Status:
    """What it is now. At the deadline it is down; a moment before, late."""
    if state.stored is not Stored.UP and not (state.stored is Stored.NEW and state.runs):
        return Status(state.stored)
    ends = deadline(state, rules)
    if ends is not None and now >= ends.at:
        return Status.DOWN
    expected = expected_at(state, rules)
    return Status.LATE if expected is not None and now >= expected else Status(state.stored)


def is_started(state: State) -> bool:
    """Whether a run is open: shown over the status."""
    return bool(state.runs)


def after_silence(state: State, rules: Rules, now: datetime, own_gap: timedelta = timedelta(0)) -> Outcome:
    """What the passing of time does. `own_gap` is how long this console was not looking since the deadline could have
    passed: deadlines inside move by it, so that its own downtime is never blamed on the job."""
    ends = deadline(state, rules)
    if ends is None or now < ends.at + own_gap:
        return Outcome(state)
    runs = state.runs
    if ends.trouble is Trouble.MISSING_END:
        runs = MappingProxyType({rid: at for rid, at in runs.items() if now < at + rules.time_limit + own_gap})
    return _open(replace(state, runs=runs), ends.trouble)
