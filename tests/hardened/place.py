"""A console whose database, source, records and tracked tasks are full of hostile texts, and a scene of its rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.db import connection, models
from django.utils import timezone
from psycopg import sql

from monitoring.abandonment.models import Disabling, FailingSpell, ScopeOutage, SourceLook, TrackedTask
from monitoring.abandonment.models.states import TaskState
from monitoring.alerts.models import Mute, Notification
from monitoring.alerts.operations.life import fire
from monitoring.pipeline.models import CanaryRound, PausedQueue, SignalState, WorkerBeat
from monitoring.records.models import Snapshot
from monitoring.schedules.models import Monitor, PingKey, Run, RunEvent
from opsconsole import audit
from opsconsole.access import Role
from opsconsole.api.tokens import grantable, make_token
from opsconsole.models import AuditEntry, User
from sync.models import (
    AffectedRow,
    Attempt,
    BatchPlan,
    QueryRun,
    SavedQuery,
    SkippedOrganization,
    SkipReason,
    StopStep,
)
from sync.operations import batches
from sync.operations.batches import BatchOptions
from tests.browser.scene import Scene
from tests.company import Company
from tests.hardened.strings import HOSTILE, HUGE
from tests.monitoring.abandonment.plane import Plane, policy
from tests.monitoring.alerting import channel, subscribe
from tests.monitoring.files import Files
from tests.monitoring.scheduled import make_scheduled_job
from tests.sync.jobs import make_job
from tests.web.sync_rows import make_batch, make_drift, make_full_job, stage_rows
from tests.web.test_routes import person

DAY = timedelta(days=1)
PERSON = "hostile-"
"""Names of the people who look at it begin so."""
ANN = audit.Actor("ann", audit.Door.PAGE, address="192.0.2.1", ticket="OPS-1")

# Texts of the console's own making, or that an address or a rule of the database is made of: they cannot hold what
# somebody outside has written.
OWN = {
    *("organization_id", "task_id", "fields", "permissions", "digest", "hint", "hash", "previous_hash", "plan_hash"),
    *("error_fingerprint", "fingerprint", "zone", "cron", "operation", "action", "parameters", "options"),
    *("organizations", "template", "tone", "kind", "trouble", "hold", "seen", "stored", "open_runs", "limited_kind"),
    *("queues", "reminders", "counts", "aged", "stuck", "figures", "seconds", "limits", "door", "name_key", "key"),
    *("task_ids", "lower", "upper", "checkpoint", "content_type", "elevation", "code", "address", "action_address"),
    *("link", "source", "subject_key", "idempotency_key", "service", "kinds", "after", "within"),
}
NAMED = {"schedules.ScheduledJob", "schedules.Monitor"}
"""Their names are held to letters, digits and dashes wherever they come in."""
FOREIGN = {"auth", "contenttypes", "sessions", "admin", "account", "mfa", "socialaccount", "usersessions"}
UNTOUCHED = {"opsconsole.User", "opsconsole.AuditEntry", "opsconsole.Lease"}
"""People's names are held to what Django allows. The audit log refuses a change: its entry is made hostile."""
NOT_ON_A_PAGE = {
    # Kept for records that no page shows whole, or of which it says something else.
    *("abandonment.Disabling.scope", "abandonment.TrackedTask.notice_owner", "alerts.Alert.channels"),
    *("alerts.Alert.subject", "opsconsole.ApiToken.created_by", "pipeline.WorkerBeat.identity"),
    *("pipeline.WorkerBeat.space", "sync.Job.error_type"),
    # Shown in a state that no row of this place is in.
    *("abandonment.SourceLook.error", "abandonment.TrackedTask.wish_by", "abandonment.TrackedTask.wish_reason"),
    *("alerts.Alert.acknowledged_by", "alerts.Alert.resolved_because", "alerts.Mute.lifted_by"),
    *(f"sync.BatchPlan.{name}" for name in ("asked_by", "asked_for", "asked_reason", "decided_by", "decided_reason")),
    *("opsconsole.ApiToken.revoked_by", "schedules.Run.result", "schedules.Run.settled_by"),
    *("schedules.Run.settled_reason", "schedules.ScheduledJob.disabled_by"),
    *("schedules.ScheduledJob.disabled_reason", "sync.Job.waits_for", "sync.SkippedOrganization.resolution"),
}
MARK = re.compile(r"m\d+m")


@dataclass(frozen=True, slots=True)
class Place:
    """`marks` maps what begins the text of a column to the column's name, so that a page tells which ones it shows.
    `seen` gathers those that any test has met."""

    scene: Scene
    marks: Mapping[str, str]
    long_name: UUID
    seen: set[str] = field(default_factory=set)

    def note(self, text: str) -> None:
        self.seen.update(self.marks[mark] for mark in MARK.findall(text) if mark in self.marks)


def fill(company: Company, files: Files, plane: Plane) -> Place:
    """Rows of every kind, then hostile texts in every column that can hold one. Some three seconds."""
    people = {role: person(f"{PERSON}{role.value}", role, is_staff=True) for role in Role}
    organization = company.organizations()[0]
    company.in_source("UPDATE organizations SET name = %s", HOSTILE)
    company.in_source("UPDATE organizations SET name = %s WHERE id = %s", HUGE, company.organizations()[1])
    company.in_source("UPDATE tasks SET title = %s", HOSTILE)
    _records(files)
    rows = {**_sync(organization, people[Role.OPERATOR]), **_schedules(), **_alerts(), **_tracked(plane)}
    token, _ = make_token(people[Role.OPERATOR], ANN, name="x", permissions=grantable(people[Role.OPERATOR]), days=7)
    _pipeline()
    trace = uuid4()
    audit.record(
        audit.Actor(HOSTILE[:150], audit.Door.PAGE, address="192.0.2.1", ticket=HOSTILE[:100]),
        "batch.started",
        f"batch:{HOSTILE}"[:200],
        reason=HOSTILE,
        trace_id=trace,
        before={"name": HOSTILE},
        after={HOSTILE: HOSTILE},
        note=HOSTILE,
    )
    entry = AuditEntry.objects.latest("pk")
    scene = Scene(
        organization=organization,
        tasks=(),
        worker="worker-1",
        token=token.pk,
        trace=trace,
        audit_entry=entry.pk,
        **rows,
    )
    return Place(scene, poison(), company.organizations()[1])


def _sync(organization: UUID, operator: User) -> dict[str, int]:
    now, key = timezone.now(), str(organization)
    typed = {"from": ["2031-05-01 12:00:00"], "to": ["2031-05-01 13:00:00"]}
    saved = SavedQuery.objects.create(name="x", owner=operator, shared=True, parameters=typed)
    window = {"window_from": now - DAY, "window_to": now + DAY}
    run = QueryRun.objects.create(
        saved_query=saved,
        started_by="x",
        state="done",
        ended_at=now,
        organizations=1,
        tasks_updated=3,
        parameters=typed,
        **window,
    )
    QueryRun.objects.create(started_by="x", state="failed", error="x", ended_at=now, **window)
    AffectedRow.objects.create(
        run=run, organization_id=key, name="x", updated=3, completed=1, first_update=now, last_update=now
    )
    job = make_full_job(organization_id=key, state="done", ended_at=now, worker="worker-1")
    make_drift(job, index={"title": HUGE}, source={"title": HOSTILE, "status": HOSTILE}, fields=["title"])
    looping = make_job(organization_name="x", state="looping", error="x", error_type="Odd", ended_at=now)
    Attempt.objects.create(job=looping, number=1, worker="w", host="h", pid=1, outcome="failed", error="x")
    StopStep.objects.create(job=looping, attempt=1, step="cancel", requested_by="x", reason="x", evidence="x")
    SkippedOrganization.objects.put_on({str(uuid4()): "x"}, SkipReason.OTHER, "x", "x")
    reported, synced = (make_batch(name="x", tags=["x"], mode=mode, state="done") for mode in ("report", "sync"))
    held = make_batch(name="x", tags=["x"], state="paused", pause_reason="x")
    held_job = make_job(organization_name="x", batch=held, state="planned")
    stage_rows(3, origin="x")
    plan: BatchPlan = batches.make_plan(BatchOptions(size=2), ANN)
    for batch in (reported, synced):
        make_full_job(batch=batch, state="done", ended_at=now, error="x")
    return {
        "run": run.pk,
        "reported": reported.pk,
        "synced": synced.pk,
        "held": held.pk,
        "plan": plan.pk,
        "done_job": job.pk,
        "drifted_job": job.pk,
        "looping_job": looping.pk,
        "held_job": held_job.pk,
    }


def _records(files: Files) -> None:
    now = timezone.now()
    for status in ("uploaded", "processing", "error", HOSTILE):
        for made in (600, 60):
            files.add(status, made, made - 50, now=now, title=HOSTILE, organization=uuid4())
    files.add("uploaded", 600, 500, now=now, title=HUGE)
    Snapshot.objects.create(
        source="uploads", bucket=now, taken_at=now, error="x", seconds=1.0, older_than=DAY, younger_than=DAY * 2
    )


def _schedules() -> dict[str, int]:
    now = timezone.now()
    jobs = [make_scheduled_job(name, description="x", owner="x", since=now) for name in ("pulse", "nightly-check")]
    jobs[0].disabled_by, jobs[0].disabled_reason = "x", "x"
    jobs[0].save()
    values = {"scheduled_job": jobs[0], "trace_id": uuid4(), "error": "x", "result": "x", "cause": "x", "reason": "x"}
    run = Run.objects.create(due_at=now, state="failed", requested_by="x", worker="w", ended_at=now, **values)
    missed = Run.objects.create(due_at=now - DAY, state="missed", **values)
    RunEvent.objects.create(run=run, message="x", problem=True)
    key = PingKey.objects.create(name="x", created_by="x")
    monitor = Monitor.objects.create(name="backup", key=key, period=DAY, description="x", owner="x", stored="down")
    monitor.pings.create(kind="fail", method="POST", agent="x", body=HOSTILE.encode() + b"\x00\xff\xfe")
    return {"scheduled_run": run.pk, "missed_run": missed.pk, "monitor": monitor.pk}


def _alerts() -> dict[str, int]:
    now = timezone.now()
    to = channel("x")
    subscribe(to, scope="x")
    Mute.objects.create(scope="x", until=now + DAY, reason="x", created_by="x", created_at=now)
    alert = fire(
        "run_failed",
        "job:x",
        title=HOSTILE,
        now=now,
        scope=HOSTILE[:100],
        owner="x@example.com",
        seen={"Error": HOSTILE},
    )
    message = Notification.objects.filter(alert=alert).first() or Notification.objects.create(
        key=str(uuid4()),
        alert=alert,
        channel=to,
        about="fired",
        template="alerts/messages/alert",
        created_at=now,
        due_at=now,
        give_up_at=now + DAY,
        last_error="x",
    )
    return {"alert": alert.pk, "channel": to.pk, "message": message.pk}


def _tracked(plane: Plane) -> dict[str, int]:
    now = timezone.now()
    zero = timedelta(0)
    fields = {"source": "live", "looked_at": now, "first_seen_at": now - 90 * DAY}
    task = TrackedTask.objects.create(
        **fields,
        key="1",
        title="x",
        kind="x",
        owner="x",
        scope="x",
        last_error="x",
        healthy=False,
        state=TaskState.FAILING,
        trouble="abandoned",
        trouble_since=now - DAY,
        failing_since=now - 40 * DAY,
        failing_unknown=zero,
        quiet_uncounted=zero,
        wish_reason="x",
        wish_by="x",
        wish_at=now,
    )
    plane.put(1, **{'Na"me': HOSTILE, "err": HOSTILE, "kind": HOSTILE, "mail": HOSTILE, "Data Plane": HOSTILE})
    Disabling.objects.create(
        task=task, automatic=True, scope="x", reason="x", asked_at=now, asked_by="x", due_at=now, error="x"
    )
    FailingSpell.objects.create(task=task, began_at=now - 40 * DAY)
    SourceLook.objects.create(source="live", looked_at=now, tried_at=now, tasks=1, error="x", unreadable_since=now)
    ScopeOutage.objects.create(source="live", scope="x", began_at=now, found_at=now, together=5, total=6)
    return {"tracked": task.pk, "policy": policy(scope="eu-1").pk}


def _pipeline() -> None:
    now = timezone.now()
    WorkerBeat.objects.create(name="worker-1", host="x", space="x", pid=4711, identity="x", queues=["high"])
    PausedQueue.objects.create(queue="low", reason="x", paused_by="x", paused_at=now)
    CanaryRound.objects.create(at=now, seconds=0.1, compared=100, stale=7, tasks=[HOSTILE])
    CanaryRound.objects.create(at=now - DAY, seconds=0.1, error="x")
    SignalState.objects.create(
        name="queues",
        tone="problem",
        since=now,
        looked_at=now,
        shown="x",
        sentence="x",
        limit="x",
        address="/",
        action="x",
    )


def poison() -> dict[str, str]:
    """Hostile texts into every column that can hold one, by the models: a new column is in by itself. Returns the
    marks that they begin with, and the columns."""
    marks: dict[str, str] = {}
    with connection.cursor() as cursor:
        for model in apps.get_models():
            if model._meta.app_label in FOREIGN or model._meta.label in UNTOUCHED:
                continue
            for column in model._meta.local_concrete_fields:
                mark = f"m{len(marks)}m"
                text = poison_for(model._meta.label, column, mark)
                if text is None:
                    continue
                cursor.execute(
                    sql.SQL("UPDATE {} SET {} = %s").format(
                        sql.Identifier(model._meta.db_table), sql.Identifier(column.column or "")
                    ),
                    [text],
                )
                if cursor.rowcount:
                    marks[mark] = f"{model._meta.label}.{column.name}"
    return marks


def poison_for(label: str, column: models.Field[Any, Any], mark: str) -> Any:
    """What goes into the column; None where nothing hostile can be in it."""
    if column.primary_key or column.choices or column.name in OWN or (label in NAMED and column.name == "name"):
        return None
    if isinstance(column, ArrayField):
        inner = poison_for(label, column.base_field, mark)
        return None if inner is None else [inner]
    if not isinstance(column, (models.CharField, models.TextField)):
        return None
    return f"={mark}{HOSTILE}"[: column.max_length]
