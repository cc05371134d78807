"""What comes of an attempt at a disabling or its undoing: done and told, not needed, to be tried again.

Each end is a conditional UPDATE in one transaction with alert, mail and audit row, so it happens once.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, QuerySet

from monitoring.abandonment.facts import Trouble
from monitoring.abandonment.models import UNDER_WAY, Disabling, DisablingState, TaskState, TrackedTask
from monitoring.abandonment.operations.carrying_out import open_alert
from monitoring.abandonment.operations.evaluating import evaluate_again, locked
from monitoring.abandonment.source import SeenTask
from monitoring.abandonment.texts import DISABLED, ENABLED, mail_context
from monitoring.alerts.operations.life import fire, resolve
from monitoring.alerts.operations.notices import queue_notice
from opsconsole import audit
from opsconsole.words import utc

logger = logging.getLogger(__name__)

FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(minutes=15)
PER_ROUND = 20


def wait_after(attempts: int) -> timedelta:
    """1, 2, 4, 8 and then 15 minutes."""
    return min(FIRST_WAIT * (1 << min(attempts - 1, 10)), LONGEST_WAIT)


def finish_disabling(row: Disabling, seen: SeenTask, now: datetime, found: str = "") -> None:
    """Seen disabled: its owner is told. `found` says so where this attempt has not asked for it."""
    with transaction.atomic():
        task = locked(row.task_id)
        mine = Disabling.objects.filter(pk=row.pk, state=DisablingState.ASKED)
        if not mine.update(state=DisablingState.DONE, done_at=now, error=found):
            return
        context = mail_context(task, now, reason=row.reason)
        said = f"{task}: disabled, after it was {context['said']}" if context["since"] else f"{task}: disabled"
        evaluate_again(task, now, seen.facts)
        alert = fire(
            "auto_disabled",
            task.subject,
            title=said,
            now=now,
            seen={"By": row.asked_by, "Reason": row.reason, "Owner": task.owner or "nobody is known", "How": found},
            scope=row.scope,
            link=f"/tracked-tasks/{task.pk}/",
            owner=task.owner,
        )
        if task.owner:
            key = f"{task.subject}:disabled:{row.pk}"
            queue_notice(key=key, template=DISABLED, context=context, to=task.owner, now=now, alert=alert)
        _audit(row, "tracked_task.disabled", task, row.asked_by, row.reason, found)


def finish_undoing(row: Disabling, seen: SeenTask, now: datetime, found: str = "") -> None:
    """Seen enabled: its owner is told. `found` as above."""
    with transaction.atomic():
        task = locked(row.task_id)
        mine = Disabling.objects.filter(pk=row.pk, state=DisablingState.UNDOING)
        if not mine.update(state=DisablingState.UNDONE, undone_at=now, error=found):
            return
        evaluate_again(task, now, seen.facts)
        because = found or f"Enabled again by {row.undone_by}."
        resolve("auto_disabled", task.subject, now=now, because=because, silently=True)
        if task.owner:
            context = mail_context(task, now, reason=row.undo_reason)
            key = f"{task.subject}:enabled:{row.pk}"
            queue_notice(key=key, template=ENABLED, context=context, to=task.owner, now=now)
        _audit(row, "tracked_task.enabled", task, row.undone_by, row.undo_reason, found)


def _audit(row: Disabling, action: str, task: TrackedTask, by: str, reason: str, found: str) -> None:
    """Done by the clock or in a page's request, at somebody's wish: that is who is named."""
    actor = audit.CLOCK if by == audit.CLOCK.name else audit.Actor(by, audit.Door.PAGE)
    audit.record(
        actor,
        action,
        task.subject,
        reason=reason,
        disabling=row.reference,
        attempts=row.attempts,
        found=found or None,
    )


def drop(row: Disabling, why: str, now: datetime) -> None:
    """Nothing is to be done any more. An undoing that finds nothing to undo has ended, too."""
    if row.order_begun_at is not None:
        why = f"{why} Its system may still carry out the order of {utc(row.order_begun_at)} UTC."
    with transaction.atomic():
        task = locked(row.task_id)
        dropped = Disabling.objects.filter(pk=row.pk, state__in=UNDER_WAY)
        undoing = row.state == DisablingState.UNDOING
        end = DisablingState.UNDONE if undoing else DisablingState.DROPPED
        if dropped.update(state=end, error=why, undone_at=now if undoing else None):
            audit.record(audit.CLOCK, "tracked_task.disabling_dropped", task.subject, why=why, disabling=row.reference)
            if undoing:
                resolve("auto_disabled", task.subject, now=now, because=why, silently=True)


def fail(row: Disabling, error: str, now: datetime) -> None:
    """The alert stays open, says why, and it is tried again."""
    logger.warning("%s of %s: %s", row.get_state_display(), row.task.subject, error)
    with transaction.atomic():
        task = locked(row.task_id)
        still = Disabling.objects.filter(pk=row.pk, state__in=UNDER_WAY)
        still.update(error=error, due_at=now + wait_after(row.attempts))
        if task.trouble and row.state == DisablingState.ASKED:
            open_alert(task, Trouble(task.trouble), now, error=error)


def note_enabled_elsewhere(now: datetime) -> int:
    """What the console disabled and somebody enabled at its system: that is over, silently. Returns how many."""
    count = 0
    for row in enabled_elsewhere().select_related("task")[:PER_ROUND]:
        with transaction.atomic():
            mine = Disabling.objects.filter(pk=row.pk, state=DisablingState.DONE)
            if mine.update(state=DisablingState.UNDONE, undone_at=now, undone_by="its system"):
                because = "Enabled again at its system."
                resolve("auto_disabled", row.task.subject, now=now, because=because, silently=True)
                count += 1
    return count


def enabled_elsewhere() -> QuerySet[Disabling]:
    done = Disabling.objects.filter(state=DisablingState.DONE)
    return done.filter(task__enabled=True, task__looked_at__gt=F("done_at")).exclude(task__state=TaskState.GONE)
