"""What a policy would do to a task, and when at the earliest, if nothing else changed. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from monitoring.abandonment.facts import NO_TIME, Facts, Remembered, Trouble
from monitoring.abandonment.rules import Rules, Stage

STILL = timedelta(days=1)
"""What moved data later than this moves it: nobody is told that it would be idle in a month."""


class Fate(StrEnum):
    """What would become of it."""

    DETECTED = "detected"
    WARNED = "warned"
    DISABLED = "disabled"
    PROMISED = "promised"
    LEFT_ALONE = "left_alone"


@dataclass(frozen=True, slots=True)
class Forecast:
    """`at` is when its trouble counts; `disabled_at` the earliest moment of disabling, if the warning arrives at once.

    `PROMISED`: it has a date already, which stays.
    """

    fate: Fate
    trouble: Trouble
    at: datetime
    disabled_at: datetime | None = None


def forecast(facts: Facts, memory: Remembered, rules: Rules, now: datetime, horizon: timedelta) -> Forecast | None:
    """None where nothing happens within `horizon`."""
    if not (facts.enabled and facts.has_shards):
        return None
    trouble = Trouble.ABANDONED if memory.failing_since is not None else Trouble.IDLE
    long = memory.failing_for(now) if trouble is Trouble.ABANDONED else memory.quiet_for(now)
    since = memory.failing_since if trouble is Trouble.ABANDONED else memory.quiet_since
    if since is None:
        return None
    if trouble is Trouble.IDLE and long < STILL:
        return None
    after = rules.failing_after if trouble is Trouble.ABANDONED else rules.idle_after
    at = _not_before(now + max(after - long, NO_TIME), facts, memory, rules)
    if at > now + horizon:
        return None
    if facts.protected or not facts.owner or memory.exempt:
        return Forecast(Fate.LEFT_ALONE, trouble, at)
    return _fate(memory, rules, trouble, at)


def _not_before(at: datetime, facts: Facts, memory: Remembered, rules: Rules) -> datetime:
    held = [moment for moment in (memory.keep_until, facts.changed_at and facts.changed_at + rules.recency) if moment]
    return max([at, *held])


def _fate(memory: Remembered, rules: Rules, trouble: Trouble, at: datetime) -> Forecast:
    stage = rules.stage(trouble)
    promised = memory.notice.disable_at if memory.notice is not None and memory.trouble is trouble else None
    if promised is not None and stage is Stage.DISABLE:
        return Forecast(Fate.PROMISED, trouble, at, promised)
    if stage is Stage.DETECT:
        return Forecast(Fate.DETECTED, trouble, at)
    if stage is Stage.NOTIFY:
        return Forecast(Fate.WARNED, trouble, at)
    return Forecast(Fate.DISABLED, trouble, at, at + rules.notice)
