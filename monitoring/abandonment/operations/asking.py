"""The wish to disable a task: a row, within the limits of the day, before anything is done."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection

from monitoring.abandonment.guards import daily_allowance
from monitoring.abandonment.models import IN_FORCE, Disabling, DisablingState, TrackedTask
from monitoring.abandonment.operations.outages import alert_scope, size_of_scope
from opsconsole import audit, estate
from opsconsole.estate.model import TrackedSource

DAY = timedelta(hours=24)
PERCENT = 100


def source_of(task: TrackedTask) -> TrackedSource | None:
    """Its source as the estate has it; None where it has it no more."""
    return next((one for one in estate.current().tracked_tasks if one.name == task.source), None)


def ask_by_policy(task: TrackedTask, now: datetime) -> Disabling | None:
    """Ask for the disabling whose promised time has come. None where it has to wait; the task then says why.

    Inside the transaction that has the task's row locked. At most as many of a scope are asked for within 24 hours as
    its source allows, whoever asks at the same moment.
    """
    if Disabling.objects.filter(task=task, state__in=IN_FORCE).exists():
        return None
    source = source_of(task)
    if source is None or source.disable is None:
        _hold(task, "no_way")
        return None
    scope = alert_scope(task.source, task.scope)
    _one_at_a_time(scope)
    allowed = daily_allowance(size_of_scope(scope), source.most_disabled, source.most_disabled_percent / PERCENT)
    if asked_lately(scope, now) >= allowed:
        _hold(task, "daily_limit")
        return None
    reason = f"Abandoned: the owner's warning was delivered at {task.notice_delivered_at:%Y-%m-%d %H:%M} UTC."
    row = make(task, scope, audit.CLOCK, reason, now, automatic=True)
    audit.record(audit.CLOCK, "tracked_task.disabling_asked", task.subject, reason=reason, disabling=row.reference)
    return row


def make(
    task: TrackedTask, scope: str, actor: audit.Actor, reason: str, now: datetime, *, automatic: bool
) -> Disabling:
    return Disabling.objects.create(
        task=task,
        automatic=automatic,
        trouble=task.trouble,
        scope=scope,
        reason=reason,
        asked_at=now,
        asked_by=actor.name,
        due_at=now,
    )


def asked_lately(scope: str, now: datetime) -> int:
    """Disablings of a scope within 24 hours, whoever asked; those that came to nothing do not count."""
    lately = Disabling.objects.filter(scope=scope, asked_at__gt=now - DAY)
    return lately.exclude(state=DisablingState.DROPPED).count()


def _one_at_a_time(scope: str) -> None:
    """Whoever counts and asks in this scope waits for the others, until the end of the transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 8))", (f"disabling {scope}",))


def _hold(task: TrackedTask, why: str) -> None:
    task.hold = why
    TrackedTask.objects.filter(pk=task.pk).update(hold=why)
