"""Old runs and pings are dropped, and nothing else."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from monitoring.schedules.models import Monitor, Ping, Run, RunEvent, RunState
from monitoring.schedules.operations.upkeep import forget_old_pings, forget_old_runs
from tests.monitoring.scheduled import make_scheduled_job

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.usefixtures("committed")

DAY = timedelta(days=1)


def test_runs_that_ended_long_ago_go_with_their_logs() -> None:
    now, job = timezone.now(), make_scheduled_job("sweep")
    ended = {"old": now - 91 * DAY, "recent": now - 89 * DAY, "waiting": None}
    for place, (name, at) in enumerate(ended.items()):
        state = RunState.DONE if at else RunState.WAITING
        run = Run.objects.create(
            scheduled_job=job, due_at=now - 200 * DAY + place * DAY, ended_at=at, state=state, trace_id=uuid4()
        )
        RunEvent.objects.create(run=run, message=name)
    assert [forget_old_runs(now), forget_old_runs(now)] == [1, 0]
    assert list(RunEvent.objects.order_by("pk").values_list("message", flat=True)) == ["recent", "waiting"]


def test_pings_that_are_in_their_monitors_state_go() -> None:
    now, monitor = timezone.now(), Monitor.objects.create(name="backup", period=DAY)
    for at, folded in ((now - 31 * DAY, True), (now - 31 * DAY, False), (now - DAY, True)):
        Ping.objects.create(monitor=monitor, at=at, folded=folded, kind="success")
    assert [forget_old_pings(now), forget_old_pings(now)] == [1, 0]
    assert Ping.objects.count() == 2
