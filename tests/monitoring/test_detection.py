"""Silence is noticed: each kind of trouble is its own alert, within fifteen seconds of its deadline."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone
from rq.timeouts import JobTimeoutException, UnixSignalDeathPenalty

from monitoring.alerts.conditions.reconciling import reconcile
from monitoring.alerts.models import Alert, Notification
from monitoring.schedules.actions import Log, operation
from monitoring.schedules.jobs import run_scheduled
from monitoring.schedules.models import Monitor, Run, RunState
from monitoring.schedules.models.run import END_SLACK
from monitoring.schedules.operations import overdue
from monitoring.schedules.operations.firing import fire_due
from opsconsole.clock import duties, loop
from opsconsole.clock.lease import LeaseKeeper
from tests.monitoring.alerting import subscribed
from tests.monitoring.scheduled import MINUTE, NOW, WORKER, make_scheduled_job

pytest_plugins = ["tests.fixtures_sync"]

SECOND = timedelta(seconds=1)
PROMISED = 15 * SECOND
WORK = 0.2
"""Seconds that each other duty of the clock is taken to last, each time: far more than a bounded statement takes."""


def _anything(parameters: object) -> None:
    """Goes."""


@operation("hangs", "Waits for what never comes. For tests.", verify=_anything)
def hangs(parameters: Any, run: Run, log: Log) -> str:
    threading.Event().wait(30)
    return "never"


def run_of(name: str) -> Run:
    return Run.objects.get(scheduled_job__name=name)


def opened() -> dict[str, str]:
    return dict(Alert.objects.open().exclude(kind="incident").values_list("subject", "kind"))


@pytest.mark.usefixtures("committed", "queue")
class TestToldApart:
    def test_missing_start_missing_end_too_long_and_failed(self) -> None:
        """Each by what really happens: nobody takes it, it does not end, RQ ends it at its limit, it raises."""
        subscribed()
        make_scheduled_job("no-start", grace=MINUTE, critical=True)
        make_scheduled_job("no-end", time_limit=MINUTE)
        make_scheduled_job("too-long", operation="hangs", time_limit=SECOND, retry_delays=[])
        make_scheduled_job("fails", operation="away", retry_delays=[])
        fire_due(NOW)
        assert Run.objects.claim(run_of("no-end").pk, WORKER)
        with UnixSignalDeathPenalty(1, JobTimeoutException):  # type: ignore[no-untyped-call]
            assert run_scheduled(run_of("too-long").pk) == "failed"
        assert run_scheduled(run_of("fails").pk) == "failed"
        overdue.notice_overdue(timezone.now() + 2 * MINUTE)
        reconcile(timezone.now())
        assert opened() == {
            "job:no-start": "missed_start",
            "job:no-end": "missed_end",
            "job:too-long": "run_too_long",
            "job:fails": "run_failed",
        }
        assert run_of("too-long").error == "It took longer than its time limit of 0:00:01."
        titles = set(Alert.objects.open().exclude(kind="incident").values_list("title", flat=True))
        assert titles == {
            "no-start has not run",
            "no-end has not ended within its time limit",
            "too-long took longer than its time limit",
            "fails failed",
        }

    def test_one_that_is_ended_after_its_end_was_missed_is_no_recovery(self) -> None:
        """The alert of the missing end gives way to that of the time limit, and nobody hears that all is fine."""
        subscribed()
        make_scheduled_job("sweep", time_limit=MINUTE, retry_delays=[])
        fire_due(NOW)
        held = Run.objects.claim(run_of("sweep").pk, WORKER)
        assert held is not None
        overdue.notice_overdue(timezone.now() + 2 * MINUTE)
        reconcile(NOW)
        assert opened() == {"job:sweep": "missed_end"}
        Run.objects.end(held.pk, held.fence, RunState.FAILED, error="late", trouble="too_long", trouble_since=NOW)
        reconcile(NOW + SECOND)
        assert opened() == {"job:sweep": "run_too_long"}
        over = Alert.objects.get(kind="missed_end")
        assert over.resolved_silently
        assert "done" not in over.resolved_because
        assert not Notification.objects.filter(alert=over, about="resolved").exists()

    def test_one_that_is_started_again_is_no_recovery_either(self) -> None:
        make_scheduled_job("sweep", time_limit=MINUTE)
        fire_due(NOW)
        held = Run.objects.claim(run_of("sweep").pk, WORKER)
        assert held is not None
        overdue.notice_overdue(timezone.now() + 2 * MINUTE)
        reconcile(NOW)
        Run.objects.queue_again(held.pk, held.fence)
        reconcile(NOW + SECOND)
        assert opened() == {}
        assert Alert.objects.get().resolved_silently


def a_start(deadline: datetime) -> str:
    job = make_scheduled_job("sweep")
    Run.objects.create(scheduled_job=job, due_at=NOW - MINUTE, trace_id=uuid4(), start_by=deadline)
    return "job:sweep"


def an_end(deadline: datetime) -> str:
    """The deadline is the time limit's; what ends a run may take a little to say so."""
    job = make_scheduled_job("sweep")
    values = {"state": RunState.RUNNING, "end_by": deadline + END_SLACK}
    Run.objects.create(scheduled_job=job, due_at=NOW - MINUTE, trace_id=uuid4(), **values)
    return "job:sweep"


def a_ping(deadline: datetime) -> str:
    last, times = deadline - 2 * MINUTE, {"period": MINUTE, "grace": MINUTE}
    monitor = Monitor.objects.create(name="backup", stored="up", last_ping=last, deadline=deadline, **times)
    return f"monitor:{monitor.pk}"


class HeldLease(LeaseKeeper):
    def hold(self) -> bool:
        return True


@pytest.mark.django_db
class TestInTime:
    @pytest.mark.parametrize("awaited", [a_start, an_end, a_ping])
    @pytest.mark.parametrize("after", [0.0, 0.3, 1.1, 2.9, 4.7])
    def test_the_alert_is_there_fifteen_seconds_after_the_deadline(
        self, awaited: Callable[[datetime], str], after: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The clock's own loop with its duties at their own periods, in a time that the test turns: what detects and
        fires does its work, every other duty takes its time."""
        moment = [0.0]
        monkeypatch.setattr(timezone, "now", lambda: NOW + moment[0] * SECOND)
        monkeypatch.setattr(loop, "close_old_connections", lambda: None)  # the test's transaction is on this one

        def works() -> None:
            moment[0] += WORK

        detecting = ("schedules.look", "alerts.reconcile")
        registered = {duty.name: duty for duty in duties.registered()}
        assert not any(registered[name].slow or registered[name].wanted for name in detecting)
        others = [replace(one, act=works, wanted=None) for one in registered.values() if not one.slow]
        clock = loop.ClockLoop(
            HeldLease("tests"),
            [registered[one.name] if one.name in detecting else one for one in others],
            threading.Event(),
            lambda: moment[0],
        )
        deadline = NOW + (20 + after) * SECOND  # when its first rounds are over
        subject = awaited(deadline)
        while not Alert.objects.open().filter(subject=subject).exists():
            assert timezone.now() <= deadline + PROMISED
            clock.step()
            moment[0] += clock.until_next()
        assert timezone.now() >= deadline
