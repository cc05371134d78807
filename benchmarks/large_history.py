"""What else a console has that has been in use for long: audit log, alerts, messages, runs, samples of the signals.

One row of each is made as the console makes it; the server multiplies it.
"""

# Everything put into the statements is a number, or a constant of this file.
# ruff: noqa: S608

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from django.db import connection

if TYPE_CHECKING:
    from django.db.models import Model

AUDIT = "opsconsole_auditentry"
QUARTERS = "t.at - n * interval '15 seconds'"


def fill_history(rows: int) -> None:
    """So many acts on the audit log; a tenth as many alerts, messages and runs; three hours of samples."""
    _fill_audit(rows)
    _fill_alerts(rows // 10)
    _fill_runs(rows // 10)
    _fill_signals()


def _multiply(row: Model, number: int, **changed: str) -> None:
    """`number` further rows like this one; `changed` are expressions of `n`, which counts from 1."""
    table = row._meta.db_table
    fields = [field for field in row._meta.local_concrete_fields if not field.primary_key and not field.generated]
    columns = [str(field.column) for field in fields]
    values = ", ".join(changed.get(column, f't."{column}"') for column in columns)
    names = ", ".join(f'"{column}"' for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f'INSERT INTO "{table}" ({names}) SELECT {values} FROM "{table}" t, generate_series(1, {number}) n'
            f' WHERE t."{row._meta.pk.column}" = %s',
            [row.pk],
        )


def _fill_audit(rows: int) -> None:
    """Without its triggers, which would chain each row; nothing here reads the chain."""
    from opsconsole import audit
    from opsconsole.models import AuditEntry

    audit.record(audit.actor_of_command(), "batch.started", "batch:1", reason="A large console.")
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {AUDIT} DISABLE TRIGGER USER")
        first = AuditEntry.objects.order_by("pk")[0]
        _multiply(first, rows, position="t.position + n", at="t.at + n * interval '1 second'", subject="'batch:' || n")
        cursor.execute(f"ALTER TABLE {AUDIT} ENABLE TRIGGER USER")


def _fill_alerts(rows: int) -> None:
    """All but a thousand are over."""
    from monitoring.alerts.models import Alert, Channel, Notification

    now = datetime.now(UTC)
    alert = Alert.objects.create(
        kind="job_looping", subject="0", severity="warning", title="It loops.", first_at=now, last_at=now
    )
    past = "now() - n * interval '1 minute'"
    over = f"CASE WHEN n > 1000 THEN {past} END"
    _multiply(alert, rows, subject="n::text", first_at=past, last_at=past, resolved_at=over)
    channel = Channel.objects.create(name="On call", kind="email", address="on-call@company.example", created_at=now)
    message = Notification.objects.create(
        key="0",
        alert=alert,
        channel=channel,
        about="fired",
        template="alerts/messages/alert",
        state="delivered",
        created_at=now,
        due_at=now,
        give_up_at=now + timedelta(days=1),
    )
    state = "CASE WHEN mod(n, 10) = 0 THEN 'dead' ELSE 'delivered' END"
    _multiply(message, rows, key="n::text", created_at=past, due_at=past, ended_at=past, state=state)


def _fill_runs(rows: int) -> None:
    """Of one scheduled job; one in a hundred was missed, one failed."""
    from monitoring.schedules.models import Run, ScheduledJob

    now = datetime.now(UTC)
    job = ScheduledJob.objects.create(
        name="nightly",
        action="operation",
        operation="check_estate",
        interval=timedelta(minutes=1),
        anchor=now,
        watermark=now,
        enabled=False,
    )
    run = Run.objects.create(scheduled_job=job, due_at=now, trace_id=uuid4(), state="done")
    state = "CASE mod(n, 100) WHEN 0 THEN 'missed' WHEN 1 THEN 'failed' ELSE 'done' END"
    past = "now() - n * interval '1 minute'"
    _multiply(run, rows, due_at=past, state=state, trace_id="gen_random_uuid()", ended_at=past)


def _fill_signals() -> None:
    """What the clock would have kept in three hours: each signal once a minute, lag and queues every 15 seconds."""
    from monitoring.pipeline.models import Sample
    from monitoring.pipeline.operations.looking import look_at_signals
    from monitoring.pipeline.operations.sampling import sample_queues

    now = datetime.now(UTC)
    look_at_signals(now)
    for sample in Sample.objects.all():
        _multiply(sample, 180, at="t.at - n * interval '1 minute'")
    sample_queues(now)
    for sample in Sample.objects.filter(subject__startswith="queue:"):
        _multiply(sample, 720, at=QUARTERS)
    lag = Sample.objects.create(subject="lag", at=now, figures={"lag": 12, "committed": 1, "latest": 13})
    _multiply(lag, 720, at=QUARTERS)
