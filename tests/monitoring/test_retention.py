"""Retention of runs, pings, snapshots, messages, alerts, sessions; what an open alert points to; as a scheduled job."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from io import StringIO
from uuid import uuid4

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from monitoring.abandonment.models import FailingSpell, LookGap, ScopeOutage, TrackedTask
from monitoring.alerts.models import Alert, Notification
from monitoring.alerts.operations.life import fire, resolve
from monitoring.records.models import Snapshot
from monitoring.schedules.jobs import run_scheduled
from monitoring.schedules.models import Monitor, Ping, Run, RunEvent, RunState, ScheduledJob
from monitoring.schedules.operations.firing import fire_due
from opsconsole.access import Role
from opsconsole.audit import Actor, Door
from opsconsole.models import AuditEntry
from opsconsole.retention import kinds, prune
from sync.models import Job, JobState
from tests.monitoring.alerting import subscribed
from tests.monitoring.scheduled import NOW, make_scheduled_job
from tests.sync.jobs import make_job
from tests.web.sync_rows import make_batch
from tests.web.test_routes import person

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.usefixtures("committed")

DAY = timedelta(days=1)


def pruned(now: datetime) -> dict[str, int]:
    return dict(prune(Actor("ada", Door.COMMAND), "", now, say=lambda _: None, stop=lambda: False).removed)


def make_run(job: ScheduledJob, age: timedelta, state: RunState = RunState.DONE) -> Run:
    now = timezone.now()
    ended = None if state in (RunState.WAITING, RunState.RUNNING) else now - age
    run = Run.objects.create(
        scheduled_job=job, due_at=now - age, created_at=now - age - DAY, ended_at=ended, state=state, trace_id=uuid4()
    )
    RunEvent.objects.create(run=run, message=str(run.pk))
    return run


def test_runs_that_ended_long_ago_go_with_their_logs() -> None:
    job, seldom = make_scheduled_job("sweep"), make_scheduled_job("yearly")
    old = [make_run(job, days * DAY, state) for days, state in ((95, RunState.DONE), (94, RunState.MISSED))]
    kept = [
        make_run(job, 93 * DAY, RunState.WAITING),
        make_run(job, 92 * DAY, RunState.RUNNING),
        make_run(job, 89 * DAY),
        make_run(seldom, 300 * DAY),  # its last success: what comes after it looks for that
    ]
    assert pruned(timezone.now()) == {"runs": len(old), "log lines of runs": len(old)}
    assert set(Run.objects.all()) == set(kept)
    assert set(RunEvent.objects.values_list("run", flat=True)) == {run.pk for run in kept}


def test_pings_that_are_in_their_monitors_state_go() -> None:
    now, monitor = timezone.now(), Monitor.objects.create(name="backup", period=DAY)
    for at, folded in ((now - 31 * DAY, True), (now - 31 * DAY, False), (now - DAY, True)):
        Ping.objects.create(monitor=monitor, at=at, folded=folded, kind="success")
    assert pruned(now) == {"pings": 1}
    assert Ping.objects.count() == 2


def test_snapshots_go_after_ninety_days() -> None:
    now = timezone.now()
    for days in (91, 89):
        moment = now - days * DAY
        times = {"bucket": moment, "taken_at": moment, "older_than": DAY, "younger_than": DAY}
        Snapshot.objects.create(source="uploads", seconds=0, **times)
    assert pruned(now) == {"snapshots": 1}


def failed_run_alert(subject: str, at: datetime, state: str) -> Alert:
    alert = fire("run_failed", subject, title="failed", now=at)
    Notification.objects.filter(alert=alert).update(state=state, ended_at=at, created_at=at)
    return alert


def test_messages_and_alerts_go_and_what_is_open_stays() -> None:
    now = timezone.now()
    subscribed()
    failed_run_alert("job:long-open", now - 400 * DAY, "delivered")
    for subject, days, state in (("job:a", 100, "delivered"), ("job:b", 100, "dead"), ("job:c", 400, "delivered")):
        failed_run_alert(subject, now - days * DAY, state)
        resolve("run_failed", subject, now=now - days * DAY, because="done", silently=True)
    removed = pruned(now)
    assert (removed["messages"], removed["alerts"]) == (2, 1)
    assert set(Alert.objects.values_list("subject", flat=True)) == {"job:long-open", "job:a", "job:b"}
    assert set(Notification.objects.values_list("alert__subject", flat=True)) == {"job:long-open", "job:b"}


def test_what_an_open_alert_points_to_stays_until_it_is_resolved() -> None:
    now = timezone.now()
    old = {"created_at": now - 500 * DAY, "ended_at": now - 400 * DAY, "state": JobState.DONE}
    batch = make_batch(**old)
    linked, seen, of_batch, free = (make_job(**old, batch=one) for one in (None, None, batch, None))
    job = make_scheduled_job("sweep")
    run = make_run(job, 100 * DAY, RunState.FAILED)
    make_run(job, 99 * DAY)
    fire("job_looping", "organization:x", title="loops", now=now, link=reverse("sync:job", args=[linked.pk]))
    fire("job_looping", "organization:y", title="loops", now=now, seen={"job": seen.pk})
    fire("batch_failed", f"batch:{batch.pk}", title="bad", now=now, link=reverse("sync:batch", args=[batch.pk]))
    fire("run_failed", "job:sweep", title="bad", now=now, seen={"run": run.pk})
    assert pruned(now) == {"jobs": 1}
    assert set(Job.objects.all()) == {linked, seen, of_batch}
    assert free not in Job.objects.all()
    assert Run.objects.filter(pk=run.pk).exists()
    for kind, subject in Alert.objects.values_list("kind", "subject"):
        resolve(kind, subject, now=now, because="done", silently=True)
    assert pruned(now) == {"jobs": 3, "batches": 1, "runs": 1, "log lines of runs": 1}


def test_the_past_of_tracked_tasks_goes_after_a_year_and_what_lasts_stays() -> None:
    now = timezone.now()
    task = TrackedTask.objects.create(
        source="live", key="1", first_seen_at=now, looked_at=now, failing_unknown=DAY, quiet_uncounted=DAY
    )
    long_ago, lately = now - 400 * DAY, now - 10 * DAY
    for began, ended in ((long_ago, long_ago + DAY), (long_ago + 2 * DAY, lately), (lately, None)):
        FailingSpell.objects.create(task=task, began_at=began, ended_at=ended)
        times = {"began_at": began, "found_at": began, "ended_at": ended}
        ScopeOutage.objects.create(source="live", scope="eu", together=5, total=9, **times)
    LookGap.objects.create(source="live", began_at=long_ago, ended_at=long_ago + DAY)
    assert pruned(now) == {"failing spells": 1, "scope outages": 1, "gaps of looks": 1}
    for model in (FailingSpell, ScopeOutage):
        assert list(model.objects.order_by("pk").values_list("ended_at", flat=True)) == [lately, None]


def test_sessions_that_are_over_go_with_their_entries() -> None:
    now, user = timezone.now(), person("ann", Role.VIEWER)
    for key, expires in (("over", now - DAY), ("lasts", now + DAY)):
        Session.objects.create(session_key=key, session_data="", expire_date=expires)
        UserSession.objects.create(user=user, session_key=key, ip="127.0.0.1", user_agent="x", last_seen_at=now)
    assert pruned(now) == {"sessions": 1}
    assert list(UserSession.objects.values_list("session_key", flat=True)) == ["lasts"]


def test_as_a_scheduled_job_it_says_what_went_and_is_on_the_audit_log() -> None:
    Ping.objects.create(
        monitor=Monitor.objects.create(name="backup", period=DAY),
        at=timezone.now() - 60 * DAY,
        folded=True,
        kind="success",
    )
    make_scheduled_job("nightly-prune", operation="prune", critical=True)
    fire_due(NOW)
    run = Run.objects.get()
    run_scheduled(run.pk)
    run.refresh_from_db()
    assert (run.state, run.result) == (RunState.DONE, "Removed: pings 1.")
    entry = AuditEntry.objects.get(action="rows.pruned")
    assert (entry.actor, entry.details["removed"]) == (f"nightly-prune (run {run.pk})", {"pings": 1})


def test_the_command_lists_what_is_kept_and_removes_the_rest() -> None:
    listed, done = StringIO(), StringIO()
    call_command("prune", list=True, stdout=listed)
    assert "Pings of monitors: 30 days (PINGS_KEPT_DAYS)." in listed.getvalue()
    assert len(listed.getvalue().splitlines()) == len(kinds())
    call_command("prune", json=True, stdout=done, stderr=StringIO())
    assert json.loads(done.getvalue()) == {"removed": {}}
