"""Disabling a tracked task and undoing exactly that: looked at again under lock, done, read back, and only then told.

The wish is a row (`Disabling`), worked on by conditional UPDATEs: killed anywhere, the next attempt looks first whether
it was done. What fails is tried again within minutes, and the alert stays open until it is done.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, QuerySet

from monitoring.abandonment.evaluator import Disable, Hold
from monitoring.abandonment.facts import Trouble
from monitoring.abandonment.guards import nothing_is_disabled
from monitoring.abandonment.models import UNDER_WAY, Disabling, DisablingState, TaskState, TrackedTask
from monitoring.abandonment.operations import outages
from monitoring.abandonment.operations.asking import make
from monitoring.abandonment.operations.carrying_out import open_alert
from monitoring.abandonment.operations.evaluating import evaluate_again, judge, locked, require_source
from monitoring.abandonment.operations.looking import patience_of
from monitoring.abandonment.source import SeenTask
from monitoring.abandonment.texts import DISABLED, ENABLED, mail_context
from monitoring.abandonment.ways import NotWantedError, Order, Wanted, order, see
from monitoring.abandonment.words import HOLDS
from monitoring.alerts.operations.life import fire, resolve
from monitoring.alerts.operations.notices import queue_notice
from opsconsole import audit
from opsconsole.clock.asking import Questions
from opsconsole.errors import ConsoleError, UnavailableError, UsageError
from opsconsole.estate.model import TrackedSource
from opsconsole.restoring import is_held

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=2)
"""How long an attempt is believed to be under way."""

FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(minutes=15)
PER_ROUND = 20
LOOK_AGAIN = 0.5  # seconds between two looks whether it is done


def ask_by_person(task: TrackedTask, actor: audit.Actor, reason: str, now: datetime) -> Disabling:
    """Disable it now, whatever its policy: a person decided. Audited. Raises UsageError where it must not be.

    Neither warning nor threshold is asked for; what protects it holds all the same.
    """
    with transaction.atomic():
        row = locked(task.pk)
        source = require_source(row)
        _require_possible(row, source, now)
        scope = outages.alert_scope(row.source, row.scope)
        asked = make(row, scope, actor, reason, now, automatic=False)
        audit.record(actor, "tracked_task.disabling_asked", row.subject, reason=reason, disabling=asked.reference)
    return asked


def _require_possible(task: TrackedTask, source: TrackedSource, now: datetime) -> None:
    if source.disable is None:
        raise UsageError(f"The estate names no way to disable {source.label}; add [tracked_tasks.disable].")
    if not task.enabled or task.gone_at is not None:
        raise UsageError(f"{task} is not enabled, so there is nothing to disable.")
    if Disabling.objects.filter(task=task, state__in=UNDER_WAY).exists():
        raise UsageError(f"{task} is being disabled, or enabled again, already.")
    _require_unhindered(task, task.protected, now)


def _require_unhindered(task: TrackedTask, protected: bool, now: datetime) -> None:
    if protected:
        raise UsageError(f"{task} is protected by its system; it is never disabled from here.")
    if nothing_is_disabled(outages.current(task.source, now).get(task.scope), now):
        raise UsageError(f"{task} is in a scope with a mass outage, or the day after one; nothing is disabled there.")


def ask_undo(task: TrackedTask, actor: audit.Actor, reason: str, now: datetime) -> Disabling:
    """Enable again what the console has disabled. Audited. Raises UsageError where it has not, or it is under way."""
    with transaction.atomic():
        row = locked(task.pk)
        require_source(row)
        done = Disabling.objects.filter(task=row, state=DisablingState.DONE)
        values = {"undo_asked_at": now, "undone_by": actor.name, "undo_reason": reason, "due_at": now}
        if not done.update(state=DisablingState.UNDOING, attempts=0, error="", sent_at=None, **values):
            raise UsageError(f"{row} was not disabled from here, so it cannot be enabled from here.")
        asked = Disabling.objects.get(task=row, state=DisablingState.UNDOING)
        audit.record(actor, "tracked_task.enabling_asked", row.subject, reason=reason, disabling=asked.reference)
    return asked


def work_off(now: datetime) -> int:
    """Try everything that is due, at most 20. Returns how many were tried; none after a restore, until somebody has
    looked."""
    if is_held():
        return 0
    due = _due(now).order_by("due_at", "pk")
    return sum(attempt(number, now) for number in list(due.values_list("pk", flat=True)[:PER_ROUND]))


def _due(now: datetime) -> QuerySet[Disabling]:
    return Disabling.objects.filter(state__in=UNDER_WAY, due_at__lte=now)


def attempt(number: int, now: datetime, wait: Callable[[float], None] = time.sleep) -> bool:
    """One attempt at a disabling or its undoing. False where another has it, or it is not due."""
    free = Disabling.objects.filter(pk=number, state__in=UNDER_WAY, due_at__lte=now)
    if not free.update(due_at=now + LEASE, attempts=F("attempts") + 1):
        return False
    row = Disabling.objects.select_related("task").get(pk=number)
    try:
        _Attempt(row, now, wait).run()
    except NotWantedError as why:
        _drop(row, str(why), now)
    except ConsoleError as error:
        _failed(row, str(error), now)
    return True


def wait_after(attempts: int) -> timedelta:
    """1, 2, 4, 8 and then 15 minutes."""
    return min(FIRST_WAIT * (1 << min(attempts - 1, 10)), LONGEST_WAIT)


class _Attempt:
    def __init__(self, row: Disabling, now: datetime, wait: Callable[[float], None]) -> None:
        self.row, self.now, self.wait = row, now, wait
        self.source = require_source(row.task)
        self.wanted = Wanted.DISABLE if row.state == DisablingState.ASKED else Wanted.ENABLE

    def run(self) -> None:
        """Raises NotWantedError, and what the way and the source raise."""
        if self.source.disable is None:
            raise UsageError(f"The estate names no way to disable {self.source.label} any more.")
        before = self._see()
        if before is None:
            raise NotWantedError("Its system has it no more.")
        if self._is_done(before):
            self._already_done(before)
            return
        self._order()
        after = self._read_back()
        if after is None:
            raise UnavailableError(
                f"{self.source.label} took the order, but {self.row.task} is not seen {self.verb} yet."
            )
        self._finish(after)

    @property
    def verb(self) -> str:
        return "disabled" if self.wanted is Wanted.DISABLE else "enabled"

    def _is_done(self, seen: SeenTask) -> bool:
        return seen.facts.enabled is (self.wanted is Wanted.ENABLE)

    def _already_done(self, seen: SeenTask) -> None:
        """By an attempt before this one, or by somebody else."""
        if self.wanted is Wanted.DISABLE and self.row.sent_at is None:
            raise NotWantedError("Somebody else has disabled it.")
        self._finish(seen)

    def _see(self) -> SeenTask | None:
        if not self.source.reported:
            return see(self.source, self.row.task.key, self.now)
        task = TrackedTask.objects.get(pk=self.row.task_id)
        if self.now - task.looked_at > patience_of(self.source):
            raise UnavailableError(
                f"{self.source.label} have not been reported since {task.looked_at:%d %b %H:%M} UTC."
            )
        return None if task.gone_at else SeenTask(task.key, task.facts)

    def _order(self) -> None:
        """With the task's row locked, so that no wish of a person and no look comes between."""
        Disabling.objects.filter(pk=self.row.pk).update(sent_at=self.now)
        what = Order(self.row.task.key, self.wanted, self.row.reference, self._reason)
        with transaction.atomic():
            task = locked(self.row.task_id)
            order(self.source, what, self._see, lambda seen: self._require_still(task, seen), self.now)

    @property
    def _reason(self) -> str:
        return self.row.reason if self.wanted is Wanted.DISABLE else self.row.undo_reason

    def _require_still(self, task: TrackedTask, seen: SeenTask | None) -> None:
        if seen is None:
            raise NotWantedError("Its system has it no more.")
        if self.wanted is Wanted.ENABLE:
            return
        if not self.row.automatic:
            _require_unhindered(task, seen.facts.protected, self.now)
            return
        found = judge(task, seen.facts, self.now)
        if not any(isinstance(one, Disable) for one in found.decisions):
            raise NotWantedError(HOLDS.get(found.hold.value, "") or "It is not abandoned any more.")

    def _read_back(self) -> SeenTask | None:
        """The task as wanted, None where it is not seen so in time."""
        assert self.source.disable is not None
        ends = time.monotonic() + self.source.disable.read_back
        while True:
            seen = self._see()
            if seen is not None and self._is_done(seen):
                return seen
            if time.monotonic() >= ends:
                return None
            self.wait(LOOK_AGAIN)

    def _finish(self, seen: SeenTask) -> None:
        (_finish_disabling if self.wanted is Wanted.DISABLE else _finish_undoing)(self.row, seen, self.now)


def _finish_disabling(row: Disabling, seen: SeenTask, now: datetime) -> None:
    with transaction.atomic():
        task = locked(row.task_id)
        mine = Disabling.objects.filter(pk=row.pk, state=DisablingState.ASKED)
        if not mine.update(state=DisablingState.DONE, done_at=now, error=""):
            return
        context = mail_context(task, now, reason=row.reason)
        said = f"{task}: disabled, after it was {context['said']}" if context["since"] else f"{task}: disabled"
        evaluate_again(task, now, seen.facts)
        alert = fire(
            "auto_disabled",
            task.subject,
            title=said,
            now=now,
            seen={"By": row.asked_by, "Reason": row.reason, "Owner": task.owner or "nobody is known"},
            scope=row.scope,
            link=f"/tracked-tasks/{task.pk}/",
            owner=task.owner,
        )
        if task.owner:
            key = f"{task.subject}:disabled:{row.pk}"
            queue_notice(key=key, template=DISABLED, context=context, to=task.owner, now=now, alert=alert)
        _audit(row, "tracked_task.disabled", task, row.asked_by, row.reason)


def _finish_undoing(row: Disabling, seen: SeenTask, now: datetime) -> None:
    with transaction.atomic():
        task = locked(row.task_id)
        mine = Disabling.objects.filter(pk=row.pk, state=DisablingState.UNDOING)
        if not mine.update(state=DisablingState.UNDONE, undone_at=now, error=""):
            return
        evaluate_again(task, now, seen.facts)
        because = f"Enabled again by {row.undone_by}."
        resolve("auto_disabled", task.subject, now=now, because=because, silently=True)
        if task.owner:
            context = mail_context(task, now, reason=row.undo_reason)
            key = f"{task.subject}:enabled:{row.pk}"
            queue_notice(key=key, template=ENABLED, context=context, to=task.owner, now=now)
        _audit(row, "tracked_task.enabled", task, row.undone_by, row.undo_reason)


def _audit(row: Disabling, action: str, task: TrackedTask, by: str, reason: str) -> None:
    """Done by the clock or in a page's request, at somebody's wish: that is who is named."""
    actor = audit.CLOCK if by == audit.CLOCK.name else audit.Actor(by, audit.Door.PAGE)
    audit.record(actor, action, task.subject, reason=reason, disabling=row.reference, attempts=row.attempts)


def _drop(row: Disabling, why: str, now: datetime) -> None:
    """Nothing is to be done any more. An undoing that finds nothing to undo has ended, too."""
    with transaction.atomic():
        task = locked(row.task_id)
        dropped = Disabling.objects.filter(pk=row.pk, state__in=UNDER_WAY)
        undoing = row.state == DisablingState.UNDOING
        end = DisablingState.UNDONE if undoing else DisablingState.DROPPED
        if dropped.update(state=end, error=why, undone_at=now if undoing else None):
            audit.record(audit.CLOCK, "tracked_task.disabling_dropped", task.subject, why=why, disabling=row.reference)
            if undoing:
                resolve("auto_disabled", task.subject, now=now, because=why, silently=True)


def _failed(row: Disabling, error: str, now: datetime) -> None:
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
    for row in _enabled_elsewhere().select_related("task")[:PER_ROUND]:
        with transaction.atomic():
            mine = Disabling.objects.filter(pk=row.pk, state=DisablingState.DONE)
            if mine.update(state=DisablingState.UNDONE, undone_at=now, undone_by="its system"):
                because = "Enabled again at its system."
                resolve("auto_disabled", row.task.subject, now=now, because=because, silently=True)
                count += 1
    return count


def _enabled_elsewhere() -> QuerySet[Disabling]:
    done = Disabling.objects.filter(state=DisablingState.DONE)
    return done.filter(task__enabled=True, task__looked_at__gt=F("done_at")).exclude(task__state=TaskState.GONE)


TO_DO = Questions(due=_due, enabled_elsewhere=lambda now: _enabled_elsewhere())
"""Whether there is something to work off, or to note."""


__all__ = ["Hold", "ask_by_person", "ask_undo", "attempt", "note_enabled_elsewhere", "wait_after", "work_off"]
