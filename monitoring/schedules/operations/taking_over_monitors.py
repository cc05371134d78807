"""The estate's monitors become rows. The file wins; what is gone from it is paused, and the console's from then on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.db.models import Q

from monitoring.schedules.models import Monitor, Origin, PingKey
from monitoring.schedules.operations.monitors import give, require_schedule, stop_expecting
from monitoring.schedules.operations.taken import THE_FILE, TakenOver
from monitoring.schedules.pings import Stored, resumed
from opsconsole import audit
from opsconsole.errors import UsageError
from opsconsole.estate.model import Monitor as Wanted


def take_over(wanted: Sequence[Wanted], actor: audit.Actor) -> TakenOver:
    """Make the rows agree with the file; a second time changes nothing. Audited where it did.

    A monitor that people made under a name and key of the file becomes the file's, with its address and history.
    """
    with transaction.atomic():
        of_file = Q(origin=Origin.ESTATE) | Q(name__in=[one.name for one in wanted])
        rows = list(Monitor.objects.select_for_update().filter(of_file).order_by("pk"))
        made, changed = [], []
        for one in wanted:
            row, key = _row_of(one, rows), _key(one.ping_key)
            if row is None:
                _make(one, key)
                made.append(one.name)
            elif _change(row, one, key):
                changed.append(one.name)
        names = {one.name for one in wanted}
        gone = [row for row in rows if row.origin == Origin.ESTATE.value and row.name not in names]
        for row in gone:
            row.origin = Origin.CONSOLE
            stop_expecting(row)
            row.save()
        taken = TakenOver("Monitors", tuple(made), tuple(changed), tuple(row.name for row in gone))
        if taken:
            audit.record(
                actor, "monitors.taken_over", "estate", made=made, changed=changed, paused=[row.name for row in gone]
            )
    return taken


def _row_of(wanted: Wanted, rows: Sequence[Monitor]) -> Monitor | None:
    named = [row for row in rows if row.name == wanted.name]
    of_file = [row for row in named if row.origin == Origin.ESTATE.value]
    same_key = [row for row in named if (row.key.name if row.key else "") == wanted.ping_key]
    return next(iter([*of_file, *same_key]), None)


def _key(name: str) -> PingKey | None:
    return PingKey.objects.get_or_create(name=name, defaults={"created_by": THE_FILE})[0] if name else None


def values_of(wanted: Wanted) -> dict[str, object]:
    """A monitor of the file as the fields of a row."""
    return {
        "description": wanted.description,
        "owner": wanted.owner,
        "channels": list(wanted.channels),
        "cron": wanted.cron,
        "zone": wanted.zone,
        "period": None if wanted.period is None else timedelta(seconds=wanted.period),
        "grace": timedelta(seconds=wanted.grace),
        "time_limit": timedelta(seconds=wanted.time_limit),
        "failures_to_open": wanted.failures_to_open,
        "successes_to_close": wanted.successes_to_close,
        "manual_resume": wanted.manual_resume,
    }


def _make(wanted: Wanted, key: PingKey | None) -> None:
    row = Monitor(name=wanted.name, key=key, origin=Origin.ESTATE)
    give(row, values_of(wanted))
    require_schedule(row)
    row.save()


def _change(row: Monitor, wanted: Wanted, key: PingKey | None) -> bool:
    came_back = row.origin != Origin.ESTATE.value
    changed = give(row, {**values_of(wanted), "key": key, "origin": Origin.ESTATE.value})
    if came_back and row.stored == Stored.PAUSED.value:
        row.state = resumed(row.state)
    if changed:
        _require_free(row)
        row.save()
    return bool(changed)


def _require_free(row: Monitor) -> None:
    """Raises UsageError where another monitor has this name under the key that the file wants."""
    if Monitor.objects.filter(name=row.name, key=row.key).exclude(pk=row.pk).exists():
        raise UsageError(f"There is a monitor {row.name!r} with the ping key of the estate file already.")
