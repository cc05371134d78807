"""The clock's part of monitors: pings that came are folded into their monitor's state, and silence is noticed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F

from monitoring.schedules.models import STATE_FIELDS, Monitor, Ping
from monitoring.schedules.pings import Outcome, PingKind, Stored, after_ping, after_silence, deadline
from monitoring.schedules.pings import Ping as Heard
from monitoring.schedules.signals import monitor_changed

PER_ROUND = 1_000
NOT_MOVED = timedelta(0)


def fold_pings() -> int:
    """Fold the pings that came since, in the order they came. Returns how many. Five statements for a thousand."""
    with transaction.atomic():
        waiting = Ping.objects.filter(folded=False).order_by("pk").defer("body")
        pings = list(waiting.select_for_update(skip_locked=True)[:PER_ROUND])
        limited = Monitor.objects.filter(limited_at__isnull=False).values_list("pk", flat=True)[:PER_ROUND]
        by_monitor: dict[int, list[Ping]] = defaultdict(list)
        for ping in pings:
            by_monitor[ping.monitor_id].append(ping)
        monitors = _locked(set(by_monitor) | set(limited))
        for monitor in monitors:
            _fold(monitor, by_monitor[monitor.pk])
        Monitor.objects.bulk_update(monitors, STATE_FIELDS)
        Ping.objects.bulk_update(pings, ["duration", "folded"])
    return len(pings)


def _locked(numbers: set[int]) -> list[Monitor]:
    return list(Monitor.objects.select_for_update().filter(pk__in=numbers).order_by("pk"))


def _fold(monitor: Monitor, pings: Sequence[Ping]) -> None:
    for ping in pings:
        outcome = _hear(monitor, Heard(PingKind(ping.kind), ping.at, ping.rid))
        ping.duration, ping.folded = outcome.duration, True
    if monitor.limited_at is not None:
        _hear(monitor, Heard(PingKind(monitor.limited_kind), monitor.limited_at, monitor.limited_rid))
        monitor.limited_kind, monitor.limited_at, monitor.limited_rid = "", None, None


def _hear(monitor: Monitor, ping: Heard) -> Outcome:
    """Time passes up to the ping, then it is heard: what fell due before it came is noticed, too."""
    _settle(monitor, after_silence(monitor.state, monitor.rules, ping.at, monitor.moved_by), ping.at)
    outcome = after_ping(monitor.state, ping, monitor.rules)
    if not outcome.ignored:
        monitor.moved_by = NOT_MOVED
    _settle(monitor, outcome, ping.at)
    return outcome


def _settle(monitor: Monitor, outcome: Outcome, at: datetime) -> None:
    """Take over a state, and announce what began or ended with it."""
    if outcome.opened is not None:
        monitor.trouble_since = at if monitor.stored != Stored.DOWN.value else monitor.trouble_since or at
    elif outcome.closed:
        monitor.trouble_since = None
    monitor.state = outcome.state
    ends = deadline(outcome.state, monitor.rules)
    monitor.deadline = ends.at + monitor.moved_by if ends else None
    if outcome.opened is not None or outcome.closed:
        number, trouble = monitor.pk, outcome.opened
        transaction.on_commit(lambda: monitor_changed.send(sender=Monitor, monitor_id=number, trouble=trouble))


def notice_silence(now: datetime) -> int:
    """Take down every monitor whose deadline has passed. Returns how many. Three statements for a thousand.

    Call it after `fold_pings`: a ping that has come is no silence.
    """
    with transaction.atomic():
        overdue = Monitor.objects.filter(deadline__lte=now).order_by("deadline", "pk")
        monitors = list(overdue.select_for_update(skip_locked=True)[:PER_ROUND])
        for monitor in monitors:
            _settle(monitor, after_silence(monitor.state, monitor.rules, now, monitor.moved_by), now)
        Monitor.objects.bulk_update(monitors, STATE_FIELDS)
    return len(monitors)


def move_deadlines(since: datetime, gap: timedelta) -> int:
    """This console was down for `gap` from `since` on: deadlines inside move by it. Returns how many."""
    inside = Monitor.objects.filter(deadline__range=(since, since + gap))
    return inside.update(deadline=F("deadline") + gap, moved_by=F("moved_by") + gap)
