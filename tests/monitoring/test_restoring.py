"""The console's database restored to an hour ago, with work under way: by PostgreSQL's own tools, into a fresh one.

What the lost hour did is not known to the backup. Jobs go on, nothing is called, told or disabled a second time by
itself, and what nobody can know is said.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone
from psycopg import sql
from pytest_django import Settings

from monitoring.abandonment.models import Disabling, TrackedTask
from monitoring.abandonment.operations import disabling
from monitoring.alerts.conditions.reconciling import reconcile as reconcile_alerts
from monitoring.alerts.models import ChannelKind, Notification
from monitoring.alerts.operations.delivery import deliver
from monitoring.alerts.operations.life import fire
from monitoring.schedules import restoring
from monitoring.schedules.models import Action, Looked, Monitor, Run, RunState
from monitoring.schedules.operations.firing import fire_due
from monitoring.schedules.operations.looking import DETECTOR, look
from monitoring.schedules.operations.reconciling import reconcile as reconcile_runs
from monitoring.schedules.restoring import expect_pings_anew, settle_runs
from opsconsole import audit
from opsconsole.demo.addresses import ServerAddresses
from opsconsole.demo.postgres import binaries
from opsconsole.due import next_due
from opsconsole.errors import UsageError
from opsconsole.health import failed_checks
from opsconsole.models import AuditEntry, Lease, RestoreHold
from opsconsole.restoring import FENCES, NUMBERS, Lost, last_sign
from sync.models import Attempt, AttemptOutcome, Batch, BatchState, Job, JobRange, JobState, Mode, RangeState
from sync.reconcile import reconcile as reconcile_jobs
from sync.restoring import settle_jobs
from tests.company import at_database
from tests.monitoring.alerting import channel, run_failed, subscribe
from tests.monitoring.receivers import Receiver, receiver
from tests.monitoring.scheduled import WORKER as RUN_WORKER
from tests.monitoring.scheduled import make_scheduled_job
from tests.sync.jobs import OTHER_WORKER, claim, make_job

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.usefixtures("committed", "queue")

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


@dataclass
class Before:
    """The console as the backup has it, an hour ago."""

    now: datetime
    then: datetime
    running: Job
    ending: Job
    waiting: Job
    call: Run
    operation: Run


def console_of_an_hour_ago(address: str) -> Before:
    now = timezone.now()
    then = now - HOUR
    Lease.objects.create(name="clock", holder="before", fence=7, expires_at=then, beat_at=then)
    Looked.objects.create(name=DETECTOR, at=then)
    Session.objects.create(session_key="before", session_data="", expire_date=now + HOUR)
    running, _ = claim(make_job())
    Job.objects.filter(pk=running.pk).update(checkpoint="key-17", scanned=100, heartbeat_at=then)
    JobRange.objects.create(job=running, number=1, state=RangeState.RUNNING, fence=1, worker="w", heartbeat_at=then)
    running.attempts.create(number=1, range_number=1, worker="w", host="h", pid=1)
    ending, _ = claim(make_job())
    Job.objects.filter(pk=ending.pk).update(state=JobState.CANCELLING, heartbeat_at=then, cancel_requested_at=then)
    subscribe(channel("team", address, ChannelKind.WEBHOOK))
    for subject, state in (("told", "delivered"), ("to-be-told", "queued"), ("being-told", "sending")):
        alert = fire("consumer_lag", subject, title="behind", now=then - MINUTE)  # which nobody finds to be over
        lease = now + MINUTE if state == "sending" else None  # of a sender whose clock is ahead
        Notification.objects.filter(alert=alert).update(state=state, lease_until=lease)
    Monitor.objects.create(
        name="backup", period=30 * MINUTE, grace=5 * MINUTE, stored="up", last_ping=then, deadline=then + 35 * MINUTE
    )
    # Due in half an hour, whenever the test runs: not while nobody looked.
    cron = f"{(now + 30 * MINUTE).minute} * * * *"
    Monitor.objects.create(
        name="hourly", cron=cron, grace=5 * MINUTE, stored="up", last_ping=then, deadline=then + 65 * MINUTE
    )
    task = TrackedTask.objects.create(
        source="gone", key="1", first_seen_at=then, looked_at=then, failing_unknown=HOUR, quiet_uncounted=HOUR
    )
    Disabling.objects.create(task=task, automatic=True, asked_at=then, asked_by="clock", due_at=then)
    call, operation = scheduled_jobs(now, then)
    return Before(now, then, running, ending, make_job(), call, operation)


def scheduled_jobs(now: datetime, then: datetime) -> tuple[Run, Run]:
    """A call, an operation that is critical and one that is not, due each five minutes, and last 150 seconds ago."""
    grid: dict[str, Any] = {"anchor": now - 150 * timedelta(seconds=1) - 1_000 * 5 * MINUTE, "since": then}
    call: dict[str, Any] = {"action": Action.HTTP, "operation": "", "parameters": {"url": "http://export.example.com/"}}
    export = make_scheduled_job("export", **grid, **call)
    nightly = make_scheduled_job("nightly", critical=True, **grid)
    make_scheduled_job("report", **grid)
    runs = []
    for job in (export, nightly):
        run = Run.objects.create(scheduled_job=job, due_at=then - MINUTE, enqueued_at=then, trace_id=uuid4())
        claimed = Run.objects.claim(run.pk, RUN_WORKER)
        assert claimed is not None
        runs.append(claimed)
    Run.objects.update(heartbeat_at=then)
    return runs[0], runs[1]


def the_lost_hour(before: Before) -> None:
    """What happened after the backup, and is not in it."""
    assert Job.objects.end(before.running.pk, before.running.fence, JobState.DONE)
    assert Run.objects.end(before.call.pk, before.call.fence, RunState.DONE)
    assert Run.objects.end(before.operation.pk, before.operation.fence, RunState.DONE)
    Notification.objects.filter(state="queued").update(state="delivered")
    fire("run_failed", "job:of-the-lost-hour", title="failed", now=before.then + MINUTE)
    make_job()


@pytest.fixture
def hook(settings: Settings) -> Iterator[Receiver]:
    """A webhook's receiver that takes whatever comes."""
    settings.ALERTS_REACH_PRIVATE = True
    with receiver() as taking:
        yield taking


@pytest.fixture
def before(servers: ServerAddresses, hook: Receiver) -> Before:
    return console_of_an_hour_ago(hook.address)


@contextmanager
def restored(servers: ServerAddresses, backup: Path) -> Iterator[None]:
    """The backup in a fresh database, to which this process is connected for as long as the block."""
    own, fresh = connection.settings_dict["NAME"], f"restored_{uuid4().hex[:8]}"
    connection.close()
    with psycopg.connect(servers.admin_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER console").format(sql.Identifier(fresh)))
        tool(
            "pg_restore", "--no-owner", "--exit-on-error", "--dbname", at_database(servers.database_url, fresh), backup
        )
        connection.settings_dict["NAME"] = fresh
        try:
            yield
        finally:
            connection.close()
            connection.settings_dict["NAME"] = own
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(fresh)))


def tool(name: str, *arguments: object) -> None:
    subprocess.run([binaries() / name, *map(str, arguments)], check=True, capture_output=True, timeout=60)


@pytest.fixture
def after(before: Before, servers: ServerAddresses, tmp_path: Path) -> Iterator[Before]:
    """Backed up, an hour passed, restored, settled, and the clock's first rounds done."""
    backup = tmp_path / "console.dump"
    here = at_database(servers.database_url, str(connection.settings_dict["NAME"]))
    tool("pg_dump", "--format=custom", "--file", backup, here)
    the_lost_hour(before)
    with restored(servers, backup):
        said = settle(before.now - 10 * MINUTE)
        assert "Jobs that were running: 2; each goes on from its checkpoint." in said
        assert "Messages that waited then: 2." in said
        assert "Tracked tasks being disabled or enabled again: 1." in said
        first_rounds(before.now)
        yield before


def settle(until: datetime) -> str:
    out = StringIO()
    call_command("after_restore", reason="the disk died", lost_until=f"{until:%Y-%m-%d %H:%M:%S}", stdout=out)
    return out.getvalue()


def first_rounds(now: datetime) -> None:
    fire_due(now)
    look(now)
    reconcile_jobs()
    reconcile_runs()
    reconcile_alerts(now)
    deliver(now)
    disabling.work_off(now)


def test_jobs_go_on_nobody_of_before_can_write_and_no_number_comes_twice(after: Before) -> None:
    job = Job.objects.get(pk=after.running.pk)
    assert (job.state, job.checkpoint, job.scanned, job.failures, job.stalled_attempts) == (
        "queued",
        "key-17",
        100,
        0,
        0,
    )
    assert Job.objects.get(pk=after.ending.pk).state == JobState.CANCELLED
    part = JobRange.objects.get()
    assert (part.state, part.fence) == (RangeState.WAITING, 1 + FENCES)
    assert Lease.objects.get(name="clock").fence == 7 + FENCES  # a clock of before that wakes up leads no more
    outcomes = {AttemptOutcome.HIBERNATED, AttemptOutcome.CANCELLED}
    assert set(Attempt.objects.values_list("outcome", flat=True)) == outcomes
    claimed, _ = claim(job, OTHER_WORKER)
    for fence in range(after.running.fence, after.running.fence + 50):  # its own, and those of claims that are lost
        assert not Job.objects.end(job.pk, fence, JobState.DONE)
    assert Job.objects.end(job.pk, claimed.fence, JobState.DONE)
    assert Job.objects.get(pk=after.waiting.pk).fence > 50
    assert make_job().pk > after.waiting.pk + NUMBERS
    assert not Session.objects.exists()
    (entry,) = AuditEntry.objects.filter(action="console.restored")
    assert entry.reason == "the disk died"
    err = StringIO()
    with pytest.raises(SystemExit):
        call_command("after_restore", reason="again", stderr=err)
    assert "This was done at " in err.getvalue()
    hold = RestoreHold.objects.get()
    assert (hold.lost_since, hold.lost_until) == (after.then, (after.now - 10 * MINUTE).replace(microsecond=0))


def states_of(name: str) -> list[tuple[str, bool]]:
    """The states of the job's runs, and whether each was due in the lost time, by due time."""
    until = RestoreHold.objects.get().lost_until
    rows = Run.objects.filter(scheduled_job__name=name).order_by("due_at").values_list("state", "due_at")
    return [(state, due <= until) for state, due in rows]


def test_nothing_is_called_again_and_nobody_is_blamed_for_what_is_lost(after: Before) -> None:
    """The run under way, and ten of the lost fifty minutes: unknown. The two after them are missed as ever."""
    states = states_of("export")
    assert states == [("unknown", True)] * (len(states) - 2) + [("missed", False)] * 2
    assert len(states) == 1 + 10 + 2
    assert not Run.objects.filter(scheduled_job__action=Action.HTTP, state__in=["queued", "running"]).exists()
    cause = Run.objects.get(pk=after.call.pk).cause
    assert cause.startswith("The console's database was restored, and nothing is known of ")
    # The run that was under way is started again, and the newest that fell due waits for it.
    assert [state for state, _ in states_of("nightly")] == ["queued", *["coalesced"] * 11, "waiting"]
    again = Run.objects.get(pk=after.operation.pk)
    assert (again.attempt, again.fence) == (0, after.operation.fence + FENCES)
    assert not Run.objects.end(again.pk, after.operation.fence, RunState.DONE)
    assert states_of("report") == [("unknown", True)] * 10 + [("missed", False)] * 2
    # A monitor whose ping is lost is not down, and still watched.
    hourly = Monitor.objects.get(name="hourly")
    assert hourly.rules.schedule is not None
    expected = next_due(hourly.rules.schedule, RestoreHold.objects.get().lost_until)
    assert expected is not None
    assert hourly.deadline == expected + hourly.grace
    look(after.now + MINUTE)
    assert Monitor.objects.get(name="backup").stored == "up"
    Looked.objects.update(at=after.now + 40 * MINUTE)  # somebody looked all the while
    look(after.now + 40 * MINUTE)
    assert Monitor.objects.get(name="backup").stored == "down"


def test_nothing_is_told_or_disabled_until_somebody_has_looked(after: Before, hook: Receiver) -> None:
    assert hook.posts == []
    assert Disabling.objects.get().attempts == 0
    assert "after_restore" in failed_checks(after.now)
    new = set(Notification.objects.filter(state="queued", created_at__gt=after.then).values_list("key", flat=True))
    assert new  # runs are missed, which was found since
    call_command("after_restore", release=True, reason="looked", stdout=StringIO())
    deliver(after.now)
    assert hook.posts
    assert set(hook.keys) <= new
    held = Notification.objects.filter(alert__subject__in=["to-be-told", "being-told"])
    assert list(held.values_list("state", flat=True)) == ["withdrawn"] * 2
    disabling.work_off(after.now)
    assert Disabling.objects.get().attempts == 1
    assert "after_restore" not in failed_checks(after.now)


@pytest.mark.parametrize(
    ("which", "left"),
    [
        ("new", {"job:due-later", "job:new"}),
        ("all", {"job:due-then", "job:due-meanwhile", "job:due-later", "job:new"}),
        ("none", set()),
    ],
)
def test_only_what_was_due_in_the_lost_time_is_withdrawn(which: str, left: set[str], hook: Receiver) -> None:
    now = timezone.now()
    then = now - HOUR
    subscribe(channel("team", hook.address, ChannelKind.WEBHOOK))
    for subject, made, due in (
        ("job:due-then", then - MINUTE, then),
        ("job:due-meanwhile", then - MINUTE, then + 30 * MINUTE),
        ("job:due-later", then - MINUTE, now + HOUR),
        ("job:new", now, then),
    ):
        alert = run_failed(subject, now=made)
        Notification.objects.filter(alert=alert).update(state="queued", due_at=due, created_at=made)
    RestoreHold.objects.create(made_by="ann", reason="x", lost_since=then, lost_until=now - MINUTE)
    call_command("after_restore", release=True, messages=which, reason="looked", stdout=StringIO())
    assert set(Notification.objects.waiting().values_list("alert__subject", flat=True)) == left
    entry = AuditEntry.objects.get(action="console.released")
    assert (entry.reason, entry.details["messages"]) == ("looked", which)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({}, "Say why"),
        ({"reason": "x", "lost_until": "2000-01-01"}, "--lost-until 2000-01-01 00:00:00 cannot be; allowed is from"),
        ({"reason": "x", "lost_until": "2999-01-01"}, "--lost-until 2999-01-01 00:00:00 cannot be; allowed is from"),
        ({"reason": "x", "lost_until": "yesterday"}, "is no time"),
        ({"reason": "x", "release": True}, "Nothing is held"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(arguments: dict[str, object], why: str) -> None:
    err = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("after_restore", **arguments, stderr=err)
    assert ended.value.code == UsageError.exit_status
    assert why in err.getvalue()
    assert not RestoreHold.objects.exists()


def test_it_is_refused_while_a_clock_runs() -> None:
    now = timezone.now()
    Lease.objects.create(name="clock", holder="one", expires_at=now + MINUTE, beat_at=now)
    err = StringIO()
    with pytest.raises(SystemExit):
        call_command("after_restore", reason="x", stderr=err)
    assert "A clock is running." in err.getvalue()


def test_the_lost_time_begins_at_the_last_sign_be_it_an_act_or_a_beat() -> None:
    assert last_sign() is None
    Lease.objects.create(name="clock", expires_at=timezone.now() - DAY, beat_at=timezone.now() - DAY)
    audit.record(audit.CLOCK, "x", "x")
    assert last_sign() == AuditEntry.objects.get().at
    later = timezone.now() + MINUTE
    Lease.objects.update(beat_at=later)
    assert last_sign() == later


def test_batches_that_go_on_are_named_up_to_twenty() -> None:
    now = timezone.now()
    values: dict[str, Any] = {"mode": Mode.SYNC, "size": 1, "created_by": "ann"}
    states = [BatchState.DONE, *[BatchState.RUNNING] * 20, BatchState.PAUSED]
    numbers = [Batch.objects.create(state=state, trace_id=uuid4(), **values).pk for state in states]
    named = f"Batches that go on: {', '.join(map(str, numbers[1:21]))}"
    assert settle_jobs(Lost(now - HOUR, now), now)[-1].startswith(f"{named} and more. ")
    Batch.objects.filter(pk=numbers[-1]).update(state=BatchState.CANCELLED)
    assert settle_jobs(Lost(now - HOUR, now), now)[-1].startswith(f"{named}. ")


def test_due_times_of_the_lost_time_are_unknown_and_never_come_again() -> None:
    """Many as ranges with a count. Not those of a job that is off; of the critical, only calls of other systems."""
    now = timezone.now()
    lost = Lost(now - 3 * DAY, now - HOUR)
    grid: dict[str, Any] = {"anchor": now - DAY * 30, "since": lost.since}
    call: dict[str, Any] = {"action": Action.HTTP, "operation": "", "parameters": {"url": "http://export.example.com/"}}
    report = make_scheduled_job("report", **grid)
    make_scheduled_job("call", critical=True, **grid, **call)
    make_scheduled_job("off", enabled=False, **grid)
    make_scheduled_job("critical", critical=True, **grid)
    settle_runs(lost, now)
    runs = Run.objects.order_by("scheduled_job__name", "due_at")
    assert set(runs.values_list("scheduled_job__name", "state", "cause")) == {
        (name, "unknown", f"The console's database was restored, and nothing is known of {lost}: it may have run.")
        for name in ("call", "report")
    }
    mine = list(runs.filter(scheduled_job=report))
    assert sum(run.count for run in mine) == (lost.until - lost.since) // (5 * MINUTE)
    first = mine[0]
    assert first.due_until is not None
    assert first.due_until - first.due_at == (first.count - 1) * 5 * MINUTE
    assert {run.due_until for run in mine if run.count == 1} == {None}
    report.refresh_from_db()
    assert (report.watermark, report.next_due) == (lost.until, lost.until + 5 * MINUTE)


def test_what_monitors_expect_begins_anew_where_the_lost_time_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that were open may have ended; what is put off further already stays so. A slice at a time."""
    monkeypatch.setattr(restoring, "PER_SLICE", 2)
    now = timezone.now()
    lost = Lost(now - 2 * HOUR, now - HOUR)
    began = {"": lost.since.isoformat()}
    common: dict[str, Any] = {"period": 30 * MINUTE, "grace": 5 * MINUTE, "last_ping": lost.since, "deadline": now}
    monitors: dict[str, dict[str, Any]] = {
        "running": {"stored": "up", "open_runs": began},
        "begun": {"stored": "new", "open_runs": began, "last_ping": None},
        "put-off": {"stored": "up", "moved_by": DAY},
        "waiting": {"stored": "up"},
        "down": {"stored": "down", "deadline": None},
    }
    for name, fields in monitors.items():
        Monitor.objects.create(name=name, **(common | fields))
    with transaction.atomic():
        assert expect_pings_anew(lost, now)[0].startswith("4 monitors ")
    found = {one.name: (one.deadline, one.open_runs) for one in Monitor.objects.all()}
    anew = lost.until + 35 * MINUTE
    assert found == {
        "running": (anew, {}),
        "begun": (None, {}),
        "put-off": (lost.since + 35 * MINUTE + DAY, {}),
        "waiting": (anew, {}),
        "down": (None, {}),
    }
