"""From decisions to alerts, mails and disablings, in the transaction that remembers them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import connection, transaction
from django.db.models import QuerySet

from monitoring.abandonment.evaluator import Decision, Disable, Fire, HandOver, Remind, Resolve, Warn
from monitoring.abandonment.facts import Trouble
from monitoring.abandonment.models import TaskState, TrackedTask
from monitoring.abandonment.operations.asking import ask_by_policy
from monitoring.abandonment.operations.outages import alert_scope
from monitoring.abandonment.texts import HANDOVER, REMINDER, WARNING, mail_context
from monitoring.abandonment.words import next_of, title_of
from monitoring.alerts.models import Alert, Notification
from monitoring.alerts.operations.life import Ending, Firing, fire_all, resolve_all
from monitoring.alerts.operations.notices import queue_notice
from opsconsole import audit

PER_STEP = 2_000

_GONE = f"""
    SELECT id FROM {TrackedTask._meta.db_table} AS task
    WHERE source = %s AND gone_at IS NULL AND NOT EXISTS (SELECT 1 FROM tracked_seen AS seen WHERE seen.key = task.key)
    ORDER BY id LIMIT %s
"""  # noqa: S608  (the name is the model's own)


def carry_out(task: TrackedTask, decisions: Iterable[Decision], now: datetime) -> None:
    """Do these for the task, which has taken over what goes with them. Inside its transaction."""
    carry_out_all([(task, decision) for decision in decisions], now)


def carry_out_all(decided: Sequence[tuple[TrackedTask, Decision]], now: datetime) -> None:
    """The same for many tasks. What ends comes first and what begins together, as each task's decisions have it."""
    over = [(task, one) for task, one in decided if isinstance(one, Resolve)]
    resolve_all([Ending(one.trouble.value, task.subject, one.because, one.silently) for task, one in over], now)
    fire_all([_firing(task, one.trouble, now) for task, one in decided if isinstance(one, Fire)], now)
    for task, decision in decided:
        match decision:
            case Warn(notice):
                _warn(task, notice.number, now)
            case HandOver(owner, number):
                _mail(task, HANDOVER, f"{task.notice_key(number)}:handover", owner, now)
            case Remind(notice, before):
                key = f"{task.notice_key(notice.number)}:reminder:{before.total_seconds() / 3_600:g}h"
                _mail(task, REMINDER, key, notice.owner, now, alert=_open_alert(task))
            case Disable():
                ask_by_policy(task, now)


def open_alert(task: TrackedTask, trouble: Trouble, now: datetime, *, error: str = "") -> Alert:
    """The task's alert, opened or brought up to date."""
    return fire_all([_firing(task, trouble, now, error)], now)[0]


def _firing(task: TrackedTask, trouble: Trouble, now: datetime, error: str = "") -> Firing:
    return Firing(
        trouble.value,
        task.subject,
        title=title_of(task, trouble, now),
        seen={
            "Owner": task.owner or "nobody is known",
            "Restarted since": task.restarted,
            "Last error": task.last_error[:300],
            "Not disabled": error,
            "next": next_of(task),
        },
        scope=alert_scope(task.source, task.scope),
        link=f"/tracked-tasks/{task.pk}/",
        owner=task.owner,
    )


def _open_alert(task: TrackedTask) -> Alert | None:
    return Alert.objects.open().filter(kind=task.trouble, subject=task.subject).first() if task.trouble else None


def _warn(task: TrackedTask, number: int, now: datetime) -> None:
    _mail(task, WARNING, task.notice_key(number), task.owner, now, alert=_open_alert(task))
    length = task.notice_length
    audit.record(
        audit.CLOCK,
        "tracked_task.owner_warned",
        task.subject,
        to=task.owner,
        number=number,
        trouble=task.trouble,
        disabled_after_hours=None if length is None else length.total_seconds() / 3_600,
    )


def _mail(
    task: TrackedTask, template: str, key: str, to: str, now: datetime, *, alert: Alert | None = None
) -> Notification:
    return queue_notice(key=key, template=template, context=mail_context(task, now), to=to, now=now, alert=alert)


def delivered_at(awaited: Iterable[tuple[int, int]]) -> dict[int, datetime]:
    """When the warnings of these (task, number) were delivered, by task; without those that were not. One query, none
    where nothing is awaited."""
    keys = {f"tracked_task:{task}:warning:{number}": task for task, number in awaited}
    if not keys:
        return {}
    delivered = Notification.objects.filter(key__in=list(keys), delivered_at__isnull=False)
    found = delivered.values_list("key", "delivered_at")
    return {keys[key]: at for key, at in found if at is not None}


def note_seen(keys: Sequence[str], *, first: bool) -> None:
    """Keep which keys a look has seen, in a table of this session, so that memory does not grow with them."""
    with connection.cursor() as cursor:
        if first:
            cursor.execute("DROP TABLE IF EXISTS pg_temp.tracked_seen")
            cursor.execute("CREATE TEMP TABLE tracked_seen (key text)")
        with connection.wrap_database_errors, cursor.copy("COPY tracked_seen (key) FROM STDIN") as copy:
            for key in keys:
                copy.write_row((key,))


def forget_gone(source: str, now: datetime) -> int:
    """What its source has no more, by the keys that `note_seen` kept: their alerts end silently. Returns how many."""
    gone = 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_GONE, (source, PER_STEP))
            ids = [row[0] for row in cursor.fetchall()]
            forget(TrackedTask.objects.filter(pk__in=ids), now)
        gone += len(ids)
        if len(ids) < PER_STEP:
            return gone


def forget(tasks: QuerySet[TrackedTask], now: datetime) -> int:
    """These are gone from their system, and their alerts end silently. Inside a transaction. Returns how many."""
    troubled = tasks.exclude(trouble="").select_for_update().order_by("pk")
    resolve_all(
        [Ending(one.trouble, one.subject, "Its system has it no more.", silently=True) for one in troubled], now
    )
    return tasks.update(state=TaskState.GONE, gone_at=now, **NO_TROUBLE)


NO_TROUBLE = {
    "hold": "",
    "trouble": "",
    "trouble_since": None,
    "forced_at": None,
    "notice_number": None,
    "notice_owner": "",
    "notice_length": None,
    "notice_made_at": None,
    "notice_delivered_at": None,
    "notice_reminded": None,
    "disable_at": None,
}
