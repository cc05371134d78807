"""The acceptance cases of runs and monitors, one test for each, with a clock that the test turns.

| case | what | test |
|---|---|---|
| 1 | exit statuses | `test_case_01_…` |
| 2 | `/start` and `/log` | `test_case_02_…` |
| 3 | two overlapping run ids | `test_case_03_…` |
| 4 | a second before the deadline, and at it | `test_case_04_…` |
| 5 | cron across both changes of clock, Paris and New York | `test_case_05_…`; `test_schedule_due.py` |
| 6 | a schedule with no next time | `test_case_06_…` |
| 7 | paused with manual resume | `test_case_07_…` |
| 8 | failure threshold 3 with two results | `test_case_08_…`; `test_pings.py::TestThresholds` |
| 9 | recovery threshold 2 | `test_case_09_…` |
| 10 | two detectors at one deadline | `test_case_10_…` |
| 11 | the clock is killed in the middle of a transition | `test_case_11_…` |
| 12 to 15 | sender, channels, combined messages | `test_alert_delivery.py`, `test_alert_life.py` |
| 16 | two clocks, one due time | `test_case_16_…`; as processes in `test_scheduling_processes.py` |
| 17 | `latest` after two hours | `test_case_17_…` |
| 18 | `skip`, and `all` with its hundred | `test_case_18_…` |
| 19 | ten restarts fire no interval early | `test_case_19_…` |
| 20 | a crash between the run's commit and its enqueue | `test_case_20_…` |
| 21 | the queue forgot, the due time is replayed | `test_case_21_…` |
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import redis
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from monitoring.alerts.conditions.reconciling import reconcile
from monitoring.alerts.models import Alert, Channel, Notification, Subscription
from monitoring.schedules import carrying
from monitoring.schedules.jobs import run_scheduled
from monitoring.schedules.models import Looked, Monitor, Run, RunState, ScheduledJob, Trigger
from monitoring.schedules.operations import monitors, watching
from monitoring.schedules.operations.firing import fire_due
from monitoring.schedules.operations.looking import look
from monitoring.schedules.operations.reconciling import push_lost_runs
from monitoring.schedules.pings import PingKind, Status
from opsconsole import audit
from opsconsole.access import Role
from opsconsole.due import next_due
from tests.monitoring.scheduled import MINUTE, NOW, make_scheduled_job, states
from tests.web.sync_rows import client_of

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.usefixtures("committed", "queue")

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
ONE, TWO = (UUID(int=number) for number in (1, 2))


def make_monitor(**fields: object) -> Monitor:
    values: dict[str, object] = {"name": "backup", "period": DAY, "grace": HOUR, "time_limit": 30 * MINUTE}
    return Monitor.objects.create(**(values | fields))


def ping(monitor: Monitor, said: str = "", rid: UUID | None = None) -> int:
    query = {"rid": str(rid)} if rid else {}
    status = Client().get(f"/ping/{monitor.code}{said and '/' + said}", query).status_code
    watching.fold_pings()
    monitor.refresh_from_db()
    return status


def status_of(monitor: Monitor, now: datetime | None = None) -> Status:
    monitor.refresh_from_db()
    return monitor.status_at(now or timezone.now())


def in_threads(act: Callable[[], object], number: int = 2) -> None:
    barrier = threading.Barrier(number)

    def run() -> None:
        barrier.wait()
        try:
            act()
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def told() -> None:
    """Somebody is to be told of every alert."""
    channel = Channel.objects.create(
        name="team", kind="email", address="team@example.com", created_at=NOW, created_by="ann"
    )
    Subscription.objects.create(channel=channel)


def test_case_01_an_exit_status_above_zero_makes_down_zero_up_and_256_is_400() -> None:
    monitor = make_monitor()
    assert (ping(monitor, "7"), status_of(monitor)) == (200, Status.DOWN)
    assert (ping(monitor, "0"), status_of(monitor)) == (200, Status.UP)
    assert (ping(monitor, "256"), status_of(monitor)) == (400, Status.UP)


def test_case_02_start_leaves_the_last_success_and_log_changes_no_state() -> None:
    monitor = make_monitor()
    ping(monitor)
    success = monitor.last_ping
    ping(monitor, "start")
    assert (monitor.last_ping, monitor.started) == (success, True)
    before = monitor.state
    ping(monitor, "log")
    assert monitor.state == before


def test_case_03_of_two_overlapping_runs_the_older_one_that_overran_still_times_out() -> None:
    monitor = make_monitor(failures_to_open=1)
    ping(monitor, "start", ONE)
    ping(monitor, "start", TWO)
    ping(monitor, "", TWO)
    assert monitor.started
    began = monitor.state.runs[ONE]
    watching.notice_silence(began + 30 * MINUTE)
    assert (status_of(monitor), monitor.trouble) == (Status.DOWN, "missing_end")


def test_case_04_a_second_before_the_deadline_late_and_at_it_down() -> None:
    monitor = make_monitor()
    ping(monitor)
    assert monitor.last_ping is not None
    ends = monitor.last_ping + DAY + HOUR
    assert watching.notice_silence(ends - SECOND) == 0
    assert status_of(monitor, ends - SECOND) is Status.LATE
    assert watching.notice_silence(ends) == 1
    assert status_of(monitor, ends) is Status.DOWN


@pytest.mark.parametrize(
    ("zone", "cron", "around", "wanted"),
    [
        ("Europe/Paris", "30 2 * * *", "2026-03-28", ["28 01:30", "29 01:00", "30 00:30"]),
        ("Europe/Paris", "30 2 * * *", "2026-10-24", ["24 00:30", "25 00:30", "26 01:30"]),
        ("America/New_York", "30 2 * * *", "2026-03-07", ["07 07:30", "08 07:00", "09 06:30"]),
        ("America/New_York", "30 1 * * *", "2026-10-31", ["31 05:30", "01 05:30", "02 06:30"]),
    ],
)
def test_case_05_across_both_changes_of_clock_each_due_time_is_one_run(
    zone: str, cron: str, around: str, wanted: list[str]
) -> None:
    """A clock that looks every quarter of an hour for three days, and for once not at all for an hour."""
    start = datetime.fromisoformat(f"{around}T00:00+00:00")
    job = make_scheduled_job("nightly", since=start, cron=cron, zone=zone, overlap="allow", critical=True)
    for quarter in range(3 * 96):
        if quarter % 7:
            fire_due(start + quarter * 15 * MINUTE)
    found = [f"{due:%d %H:%M}" for due in Run.objects.order_by("due_at").values_list("due_at", flat=True)]
    assert found == wanted
    assert set(states(job)) == {"queued"}


def test_case_06_a_schedule_with_no_next_time_never_goes_down_and_says_so() -> None:
    last = datetime(9997, 3, 1, tzinfo=UTC)  # the calendar has no further leap day
    monitor = make_monitor(period=None, cron="0 0 29 2 *", stored="up", last_ping=last)
    assert next_due(monitor.schedule, last) is None
    ping(monitor, "log")
    assert watching.notice_silence(last + 300 * DAY) == 0
    assert (monitor.expected_at, status_of(monitor, last + 300 * DAY)) == (None, Status.UP)
    page = client_of(Role.VIEWER).get(f"/schedules/monitors/{monitor.pk}/").content.decode()
    assert "never: its schedule has no next time" in page


def test_case_07_paused_with_manual_resume_ignores_pings_and_resume_makes_new_silently() -> None:
    told()
    monitor = make_monitor(manual_resume=True)
    ping(monitor)
    monitors.pause(monitor, audit.WORKER, "Moved")
    assert (ping(monitor, "fail"), status_of(monitor)) == (200, Status.PAUSED)
    monitors.resume(monitor, audit.WORKER, "Back")
    reconcile(timezone.now())
    assert (status_of(monitor), Notification.objects.count()) == (Status.NEW, 0)


def test_case_08_two_failures_of_three_are_no_alert() -> None:
    told()
    monitor = make_monitor(failures_to_open=3)
    for expected in (0, 0, 1):
        ping(monitor, "fail")
        reconcile(timezone.now())
        assert Alert.objects.count() == expected


def test_case_09_ok_fail_ok_ok_resolves_at_the_last() -> None:
    told()
    monitor = make_monitor(successes_to_close=2)
    ping(monitor, "fail")
    reconcile(timezone.now())
    open_after = []
    for said in ("", "fail", "", ""):
        ping(monitor, said)
        reconcile(timezone.now())
        open_after.append(Alert.objects.filter(resolved_at=None).count())
    assert open_after == [1, 1, 1, 0]


def test_case_10_two_detectors_at_one_deadline_give_one_alert_and_one_row_of_the_outbox() -> None:
    told()
    monitor = make_monitor()
    ping(monitor)
    assert monitor.deadline is not None
    at = monitor.deadline

    def detect() -> None:
        look(at)
        reconcile(at)

    in_threads(detect)
    assert (Alert.objects.count(), Notification.objects.count()) == (1, 1)


def test_case_11_a_clock_killed_in_a_transition_leaves_no_half_state_and_the_alert_still_comes() -> None:
    told()
    monitor = make_monitor()
    ping(monitor)
    assert monitor.deadline is not None
    at = monitor.deadline
    with transaction.atomic():
        watching.notice_silence(at)
        transaction.set_rollback(True)  # killed here: nothing of the transaction is left
    assert status_of(monitor, at - SECOND) is Status.LATE
    look(at)  # the next clock: it goes down, and this one is killed before it fires
    assert (status_of(monitor, at), Alert.objects.count()) == (Status.DOWN, 0)
    reconcile(at + 20 * SECOND)
    assert (Alert.objects.get().kind, Notification.objects.count()) == ("monitor_down", 1)


def test_case_16_two_clocks_one_due_time_one_run_one_job() -> None:
    make_scheduled_job("sweep")
    in_threads(lambda: fire_due(NOW))
    assert carrying.waiting() == {Run.objects.get().pk}


def test_case_17_latest_after_two_hours_is_one_run_and_the_older_ones_are_coalesced() -> None:
    later = NOW + 2 * MINUTE
    job = make_scheduled_job("sweep", since=later - 2 * HOUR, critical=True)
    assert fire_due(later) == 1
    assert states(job) == ["coalesced"] * 23 + ["queued"]
    assert Run.objects.get(state=RunState.QUEUED).trigger == Trigger.RECOVERY


def test_case_18_skip_queues_none_and_all_a_hundred_with_the_rest_as_a_counted_range() -> None:
    skipping = make_scheduled_job("skipping", since=NOW - 2 * HOUR, critical=True, catch_up="skip")
    assert fire_due(NOW + 2 * MINUTE) == 0
    assert set(states(skipping)) == {"skipped"}
    ten_seconds = {"interval": 10 * SECOND, "critical": True, "catch_up": "all", "overlap": "allow"}
    job = make_scheduled_job("all", since=NOW - 2 * HOUR, **ten_seconds)
    fire_due(NOW)
    runs = Run.objects.filter(scheduled_job=job)
    assert runs.filter(trigger=Trigger.RECOVERY, state=RunState.QUEUED).count() == 100
    rest = runs.get(count__gt=1)
    assert (rest.state, rest.count) == (RunState.SKIPPED, 720 - 100 - runs.filter(trigger=Trigger.DUE, count=1).count())


def test_case_19_ten_restarts_never_fire_an_interval_early() -> None:
    job = make_scheduled_job("sweep", since=NOW, interval=HOUR, anchor=NOW, overlap="allow")
    for restart in range(1, 11):
        now = NOW + restart * 5 * MINUTE
        Looked.objects.update_or_create(name="detector", defaults={"at": now})
        look(now)
        fire_due(now)
    assert states(job) == []
    assert fire_due(NOW + HOUR) == 1
    assert Run.objects.get().due_at == NOW + HOUR


def test_case_20_a_crash_between_the_runs_commit_and_its_enqueue(queue: redis.Redis) -> None:
    make_scheduled_job("sweep")
    fire_due(NOW)
    queue.flushall()  # as if the process had died after its commit
    run = Run.objects.get()
    Run.objects.update(enqueued_at=timezone.now() - MINUTE)
    assert push_lost_runs() == 1
    assert carrying.waiting() == {run.pk}
    assert [run_scheduled(run.pk), run_scheduled(run.pk)] == ["done", "not claimed"]
    assert Run.objects.get().attempt == 1


def test_case_21_the_queue_forgot_and_a_replayed_due_time_is_refused_by_the_database(queue: redis.Redis) -> None:
    job = make_scheduled_job("sweep")
    fire_due(NOW)
    run_scheduled(Run.objects.get().pk)
    queue.flushall()
    ScheduledJob.objects.filter(pk=job.pk).update(watermark=NOW - 5 * MINUTE, next_due=NOW - MINUTE)
    assert fire_due(NOW) == 0
    assert (Run.objects.get().state, carrying.waiting()) == (RunState.DONE, set())


def test_a_kind_of_ping_is_what_its_address_says() -> None:
    monitor = make_monitor()
    for said in ("start", "log", "fail", ""):
        ping(monitor, said)
    kinds = list(monitor.pings.order_by("pk").values_list("kind", flat=True))
    assert kinds == [PingKind.START, PingKind.LOG, PingKind.FAIL, PingKind.SUCCESS]
