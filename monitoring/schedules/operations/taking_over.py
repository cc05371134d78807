"""The estate's scheduled jobs become rows. The file wins; what is gone from it is disabled, and keeps its history."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction

from monitoring.schedules.models import Action, Origin, ScheduledJob
from monitoring.schedules.operations import taking_over_monitors
from monitoring.schedules.operations.saving import change, disable, enable, require_possible
from monitoring.schedules.operations.taken import THE_FILE, TakenOver
from opsconsole import audit, estate
from opsconsole.errors import ConsoleError, UsageError
from opsconsole.estate.model import HttpCall
from opsconsole.estate.model import ScheduledJob as Wanted

logger = logging.getLogger(__name__)


def take_over(wanted: Sequence[Wanted], now: datetime, actor: audit.Actor) -> TakenOver:
    """Make the rows agree with the file; a second time changes nothing. Audited where it did.

    A job that people made under a name of the file becomes the file's. One that a person disabled stays so. Raises
    UsageError with every job that cannot be used; then nothing is taken over.
    """
    with transaction.atomic():
        rows = {row.name: row for row in ScheduledJob.objects.select_for_update().order_by("pk")}
        made, changed, mistakes = [], [], []
        for one in wanted:
            try:
                if one.name not in rows:
                    _make(one, now)
                    made.append(one.name)
                elif _change(rows[one.name], one, now):
                    changed.append(one.name)
            except UsageError as error:
                mistakes.append(f"{one.name}: {error}")
        if mistakes:
            raise UsageError("\n".join(["Scheduled jobs of the estate cannot be used:", *mistakes]))
        taken = TakenOver(
            "Scheduled jobs", tuple(made), tuple(changed), _disable_gone(rows, {one.name for one in wanted}, now)
        )
        if taken:
            audit.record(
                actor, "scheduled_jobs.taken_over", "estate", made=made, changed=changed, disabled=list(taken.disabled)
            )
    return taken


def mistakes_in(wanted: Sequence[Wanted], now: datetime) -> list[str]:
    """What of the file only the operations can tell to be wrong, a sentence each. Changes nothing."""
    mistakes = []
    for one in wanted:
        try:
            require_possible(ScheduledJob(name=one.name, anchor=now, **values_of(one)))
        except UsageError as error:
            mistakes.append(f"scheduled_jobs: {one.name}: {error}")
    return mistakes


def values_of(wanted: Wanted) -> dict[str, object]:
    """A job of the file as the fields of a row."""
    return {
        "description": wanted.description,
        "owner": wanted.owner,
        "channels": list(wanted.channels),
        "action": (Action.OPERATION if wanted.http is None else Action.HTTP).value,
        "operation": wanted.operation,
        "parameters": dict(wanted.parameters) if wanted.http is None else _call(wanted.http),
        "cron": wanted.cron,
        "zone": wanted.zone,
        "interval": None if wanted.every is None else timedelta(seconds=wanted.every),
        "critical": wanted.critical,
        "catch_up": wanted.catch_up.value,
        "recovery_window": timedelta(seconds=wanted.recovery_window),
        "grace": timedelta(seconds=wanted.grace),
        "time_limit": timedelta(seconds=wanted.time_limit),
        "retry_delays": [round(delay) for delay in wanted.retries],
        "overlap": wanted.overlap.value,
        "after": list(wanted.after),
    }


def _call(http: HttpCall) -> dict[str, object]:
    return {
        "method": http.method,
        "url": http.url,
        "headers_env": dict(http.headers_env),
        "body": http.body,
        "expected_status": http.expected_status,
    }


def _make(wanted: Wanted, now: datetime) -> None:
    row = ScheduledJob(name=wanted.name, origin=Origin.ESTATE, anchor=now)
    change(row, values_of(wanted), now, new=True)
    row.save()


def _change(row: ScheduledJob, wanted: Wanted, now: datetime) -> bool:
    changed: list[str] = change(row, values_of(wanted), now)
    require_possible(row)
    if row.origin != Origin.ESTATE:
        row.origin = Origin.ESTATE
        changed.append("origin")
    if not row.enabled and row.disabled_by == THE_FILE:
        enable(row, now)
        changed.append("enabled")
    if changed:
        row.save()
    return bool(changed)


def _disable_gone(rows: dict[str, ScheduledJob], names: set[str], now: datetime) -> tuple[str, ...]:
    gone = [row for row in rows.values() if row.origin == Origin.ESTATE.value and row.enabled and row.name not in names]
    for row in gone:
        disable(row, now, THE_FILE, "It is no longer in the estate file.")
        row.save()
    return tuple(row.name for row in gone)


def take_file_over(now: datetime, actor: audit.Actor) -> list[TakenOver]:
    """The scheduled jobs and monitors of the file as it is now. Raises ConsoleError where one cannot be used."""
    found = estate.load(settings.ESTATE)
    with transaction.atomic():
        return [take_over(found.scheduled_jobs, now, actor), taking_over_monitors.take_over(found.monitors, actor)]


class EstateFollower:
    """Takes the file over when it is first seen and whenever it changed. One in each clock."""

    def __init__(self) -> None:
        self._seen: tuple[int, int] | None = None

    def look(self, now: datetime) -> list[TakenOver]:
        """What changed; nothing where the file is as it was, or cannot be used: that is logged, once for each change of
        the file."""
        state = _state_of(Path(settings.ESTATE))
        if state is None or state == self._seen:
            return []
        try:
            taken = [one for one in take_file_over(now, audit.CLOCK) if one]
        except ConsoleError as error:
            self._seen = state
            logger.error("scheduled jobs and monitors stay as they were: %s", error)
            return []
        self._seen = state  # not before: a database that is away is asked again
        for one in taken:
            logger.info("%s", one.sentence())
        return taken


def _state_of(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
