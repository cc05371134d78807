"""Monitors and ping keys, as people make, change, pause and resume them. All of it is audited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction

from monitoring.schedules.models import STATE_FIELDS, Monitor, Origin, PingKey
from monitoring.schedules.pings import State, Stored, deadline, paused, resumed
from opsconsole import audit
from opsconsole.due import BadScheduleError, parse_cron, parse_interval
from opsconsole.errors import UsageError


def add_monitor(values: Mapping[str, Any], actor: audit.Actor) -> Monitor:
    """A new monitor with these fields. Raises UsageError where they cannot be used, or the name is taken."""
    monitor = Monitor(**values)
    require_schedule(monitor)
    try:
        with transaction.atomic():
            monitor.save()
            audit.record(actor, "monitor.added", _subject(monitor), schedule=str(monitor.schedule))
    except IntegrityError as error:
        raise _taken(monitor) from error
    return monitor


def change_monitor(monitor: Monitor, values: Mapping[str, Any], actor: audit.Actor) -> list[str]:
    """Returns the names of what changed. Its deadline goes by the new rules at once. Raises UsageError, for one of the
    estate file too."""
    try:
        with transaction.atomic():
            row = _locked(monitor)
            if row.origin == Origin.ESTATE.value:
                raise UsageError(f"{row.name} is kept in the estate file; change it there.")
            changed = give(row, values)
            if changed:
                row.save()
                audit.record(actor, "monitor.changed", _subject(row), changed=changed)
    except IntegrityError as error:
        raise _taken(row) from error
    return changed


def pause(monitor: Monitor, actor: audit.Actor, reason: str) -> None:
    """Nothing is expected of it until the next ping, or until it is resumed. Raises UsageError where it is paused."""
    with transaction.atomic():
        row = _locked(monitor)
        if row.stored == Stored.PAUSED.value:
            raise UsageError(f"{row.name} is paused already.")
        stop_expecting(row)
        row.save(update_fields=STATE_FIELDS)
        audit.record(actor, "monitor.paused", _subject(row), reason=reason)


def resume(monitor: Monitor, actor: audit.Actor, reason: str) -> None:
    """It is new again, silently, and expected after its next ping. Raises UsageError where it is not paused."""
    with transaction.atomic():
        row = _locked(monitor)
        if row.stored != Stored.PAUSED.value:
            raise UsageError(f"{row.name} is not paused.")
        _take(row, resumed(row.state))
        row.save(update_fields=STATE_FIELDS)
        audit.record(actor, "monitor.resumed", _subject(row), reason=reason)


def add_key(name: str, actor: audit.Actor) -> PingKey:
    """Raises UsageError where there is a key of this name."""
    try:
        with transaction.atomic():
            key = PingKey.objects.create(name=name, created_by=actor.name)
            audit.record(actor, "ping_key.added", f"ping_key:{key.pk}", name=name)
    except IntegrityError as error:
        raise UsageError(f"There is a ping key {name!r} already.") from error
    return key


def give(row: Monitor, values: Mapping[str, Any]) -> list[str]:
    """Give the row these values, and the deadline that they make. Returns the names of what changed; saves nothing.

    Raises UsageError for a schedule that cannot be used.
    """
    changed = [name for name, value in values.items() if getattr(row, name) != value]
    for name in changed:
        setattr(row, name, values[name])
    require_schedule(row)
    if changed:
        _take(row, row.state)
    return changed


def stop_expecting(row: Monitor) -> None:
    """Pause it. Saves nothing."""
    row.trouble_since = None
    _take(row, paused(row.state))


def _locked(monitor: Monitor) -> Monitor:
    return Monitor.objects.select_for_update().get(pk=monitor.pk)


def _take(row: Monitor, state: State) -> None:
    row.state = state
    ends = deadline(state, row.rules)
    row.deadline = ends.at + row.moved_by if ends else None


def require_schedule(monitor: Monitor) -> None:
    """Raises UsageError."""
    try:
        if monitor.period is None:
            monitor.cron = parse_cron(monitor.cron, monitor.zone).expression
        else:
            parse_interval(monitor.period, monitor.created_at)
    except BadScheduleError as error:
        raise UsageError(str(error)) from error


def _taken(monitor: Monitor) -> UsageError:
    return UsageError(f"There is a monitor {monitor.name!r} with this key already.")


def _subject(monitor: Monitor) -> str:
    return f"monitor:{monitor.pk}"
