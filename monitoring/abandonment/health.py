"""How long a task has been failing, or without data: one look after the other. Pure.

Health counts only when it lasted, and time in which nobody could see a task does not count against it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from monitoring.abandonment.facts import NO_TIME, Facts, Remembered


def first_look(facts: Facts, now: datetime) -> Remembered:
    """What is remembered of a task that was never seen before: its system's own word for the past."""
    healthy = facts.enabled and facts.healthy
    begun = _earlier(now, facts.last_healthy_at or facts.created_at)
    failing = facts.enabled and facts.has_shards and not facts.healthy
    quiet = quiet_since(facts, None, now, now)
    return Remembered(
        first_seen_at=now,
        looked_at=now,
        enabled=facts.enabled,
        healthy_since=now if healthy else None,
        failing_since=begun if failing else None,
        quiet_since=quiet,
        quiet_uncounted=now - max(begun, quiet) if failing and quiet is not None else NO_TIME,
        failures=facts.failures,
        restarts=facts.restarts,
    )


def next_look(facts: Facts, past: Remembered, clean: timedelta, patience: timedelta, now: datetime) -> Remembered:
    """`past` with what this look adds to it. Looks further apart than `patience` leave time that nobody saw."""
    unseen = now - past.looked_at if now - past.looked_at > patience else NO_TIME
    enabled_since = now if facts.enabled and not past.enabled else past.enabled_since
    seen = replace(
        past,
        looked_at=max(now, past.looked_at),
        enabled=facts.enabled,
        enabled_since=enabled_since,
        failures=facts.failures,
        restarts=facts.restarts,
    )
    if not (facts.enabled and facts.has_shards):
        return replace(
            seen,
            healthy_since=None,
            failing_since=None,
            failing_unknown=NO_TIME,
            quiet_since=None,
            quiet_uncounted=NO_TIME,
        )
    if not past.enabled:
        return _enabled_again(seen, facts, now)
    return _quiet(_healthy(seen, facts, past, clean, unseen, now), facts, past, unseen, now)


def _enabled_again(seen: Remembered, facts: Facts, now: datetime) -> Remembered:
    return replace(
        seen,
        healthy_since=now if facts.healthy else None,
        failing_since=None if facts.healthy else now,
        failing_unknown=NO_TIME,
        restarts_before=facts.restarts,
        quiet_since=now if facts.data_known else None,
        quiet_uncounted=NO_TIME,
    )


def _healthy(
    seen: Remembered, facts: Facts, past: Remembered, clean: timedelta, unseen: timedelta, now: datetime
) -> Remembered:
    if not facts.healthy:
        return _failing(seen, facts, past, clean, unseen, now)
    # A counter that rose says that it was not healthy all the time between the looks.
    broken = facts.failures > past.failures or facts.restarts > past.restarts
    since = past.healthy_since if past.healthy_since is not None and not broken else now
    if past.failing_since is None and since == past.healthy_since:
        return seen  # as nearly always: nothing to write
    if past.failing_since is None or now - since >= clean:
        return replace(seen, healthy_since=since, failing_since=None, failing_unknown=NO_TIME, restarts_before=0)
    return replace(seen, healthy_since=since, failing_unknown=past.failing_unknown + unseen)


def _failing(
    seen: Remembered, facts: Facts, past: Remembered, clean: timedelta, unseen: timedelta, now: datetime
) -> Remembered:
    last = facts.last_healthy_at
    if past.failing_since is None:
        # Its system's word counts where it was kept up while the task was healthy, else the last look that saw it so.
        told = last is not None and past.healthy_since is not None and last >= past.healthy_since
        begun = _earlier(now, last if told else past.looked_at)
        return _begins(seen, facts, begun, past.restarts, unseen, now)
    # Nobody saw whether that health lasted; there was time for it, and the doubt is the customer's.
    if unseen >= clean and last is not None and past.looked_at < last <= now:
        return _begins(seen, facts, last, past.restarts, unseen, now)
    return replace(seen, healthy_since=None, failing_unknown=past.failing_unknown + unseen)


def _begins(
    seen: Remembered, facts: Facts, begun: datetime, restarts: int, unseen: timedelta, now: datetime
) -> Remembered:
    before = restarts if restarts <= facts.restarts else 0
    unknown = min(unseen, now - begun)
    return replace(seen, healthy_since=None, failing_since=begun, failing_unknown=unknown, restarts_before=before)


def _quiet(seen: Remembered, facts: Facts, past: Remembered, unseen: timedelta, now: datetime) -> Remembered:
    """Only time in which it was seen, and healthy, counts: what fails cannot move data."""
    since = quiet_since(facts, seen.enabled_since, seen.first_seen_at, now)
    if since is None:
        return replace(seen, quiet_since=None, quiet_uncounted=NO_TIME)
    failing = seen.failing_since is not None or past.failing_since is not None
    uncounted = max(now - past.looked_at, NO_TIME) if failing else unseen
    if since == past.quiet_since and not uncounted:
        return seen
    if since == past.quiet_since:
        return replace(seen, quiet_uncounted=past.quiet_uncounted + uncounted)
    return replace(seen, quiet_since=since, quiet_uncounted=min(uncounted, now - since))


def quiet_since(
    facts: Facts, enabled_since: datetime | None, first_seen_at: datetime, now: datetime
) -> datetime | None:
    """The last time it moved data, or when that began to be looked for; None where nobody knows or it does not."""
    if not (facts.enabled and facts.has_shards and facts.data_known):
        return None
    known = [moment for moment in (facts.last_data_at, facts.created_at, enabled_since) if moment is not None]
    return min(max(known, default=first_seen_at), now)


def _earlier(now: datetime, moment: datetime | None) -> datetime:
    return now if moment is None else min(moment, now)
