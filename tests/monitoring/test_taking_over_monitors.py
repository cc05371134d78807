"""The estate's monitors become rows: once, again without a change, and their addresses stay."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from monitoring.schedules.models import Monitor, Origin, PingKey
from monitoring.schedules.operations.monitors import change_monitor
from monitoring.schedules.operations.taken import TakenOver
from monitoring.schedules.operations.taking_over_monitors import take_over
from opsconsole import audit
from opsconsole.errors import UsageError
from opsconsole.estate.model import Monitor as Wanted
from opsconsole.models import AuditEntry

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.usefixtures("committed")

SWEEP = Wanted("sweep", period=60.0, grace=60.0, owner="data")
BACKUP = Wanted("backup", cron="0 3 * * *", zone="Europe/Paris", ping_key="backups")


def taken(*wanted: Wanted) -> TakenOver:
    return take_over(wanted, audit.CLOCK)


def row(name: str = "sweep") -> Monitor:
    return Monitor.objects.select_related("key").get(name=name)


def test_monitors_of_the_file_are_made_once() -> None:
    assert taken(SWEEP, BACKUP).made == ("sweep", "backup")
    assert not taken(SWEEP, BACKUP)
    assert (row().period, row().origin, row().owner) == (timedelta(minutes=1), Origin.ESTATE, "data")
    assert row("backup").key == PingKey.objects.get(name="backups")
    assert AuditEntry.objects.filter(action="monitors.taken_over").count() == 1


def test_a_change_leaves_address_and_history_and_moves_the_deadline() -> None:
    taken(SWEEP)
    before, now = row(), timezone.now()
    Monitor.objects.update(stored="up", last_ping=now, deadline=now + timedelta(minutes=2))
    assert taken(replace(SWEEP, period=3_600.0)).changed == ("sweep",)
    assert (row().code, row().last_ping) == (before.code, now)
    assert row().deadline == now + timedelta(minutes=61)


def test_what_is_gone_is_paused_and_comes_back_new() -> None:
    taken(SWEEP, BACKUP)
    code = row().code
    assert taken(BACKUP).disabled == ("sweep",)
    assert (row().stored, row().origin) == ("paused", Origin.CONSOLE)
    assert not taken(BACKUP)
    assert taken(SWEEP, BACKUP).changed == ("sweep",)
    assert (row().stored, row().origin, row().code) == ("new", Origin.ESTATE, code)


def test_one_that_people_made_becomes_the_files_and_is_changed_there() -> None:
    Monitor.objects.create(name="sweep", period=timedelta(days=1))
    taken(SWEEP)
    assert (Monitor.objects.count(), row().period) == (1, timedelta(minutes=1))
    with pytest.raises(UsageError, match="kept in the estate file"):
        change_monitor(row(), {"grace": timedelta(hours=2)}, audit.WORKER)


def test_a_key_that_another_monitor_of_the_name_has_is_refused() -> None:
    taken(BACKUP)
    Monitor.objects.create(name="backup", period=timedelta(days=1))
    with pytest.raises(UsageError, match="already"):
        taken(replace(BACKUP, ping_key=""))
