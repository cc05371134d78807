"""Disabling a tracked task and undoing exactly that: looked at again under lock, done, read back, and only then told.

The wish is a row (`Disabling`), worked on by conditional UPDATEs: killed anywhere, the next attempt looks first whether
it was done. What fails is tried again within minutes, and the alert stays open until it is done.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, QuerySet

from monitoring.abandonment.evaluator import Disable
from monitoring.abandonment.models import UNDER_WAY, Disabling, DisablingState, TrackedTask
from monitoring.abandonment.operations.evaluating import judge, locked, require_source
from monitoring.abandonment.operations.looking import patience_of
from monitoring.abandonment.operations.outcomes import drop, enabled_elsewhere, fail, finish_disabling, finish_undoing
from monitoring.abandonment.operations.wishes import require_unhindered
from monitoring.abandonment.source import SeenTask
from monitoring.abandonment.ways import NotWantedError, Order, Wanted, order, see
from monitoring.abandonment.words import HOLDS
from opsconsole.clock.asking import Questions
from opsconsole.errors import ConsoleError, UnavailableError, UsageError
from opsconsole.restoring import is_held
from opsconsole.words import utc

LEASE = timedelta(minutes=2)
"""How long an attempt is believed to be under way."""

PER_ROUND = 20
LOOK_AGAIN = 0.5  # seconds between two looks whether it is done


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
        drop(row, str(why), now)
    except ConsoleError as error:
        fail(row, str(error), now)
    return True


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
        """By an order of an attempt before this one, or by somebody else: which of them, nobody can say."""
        begun = self.row.order_begun_at
        if begun is not None:
            self._finish(seen, f"Found {self.verb}: by the order of {utc(begun)} UTC, or by somebody else since.")
        elif self.wanted is Wanted.DISABLE:
            raise NotWantedError("Somebody else has disabled it.")
        else:
            self._finish(seen, "It was enabled at its system already.")

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
        """With the task's row locked, so that no wish of a person and no look comes between.

        Written down before it leaves: what was done and not written down would be taken for somebody else's act. Where
        the last look refuses it, none has left.
        """
        mine = Disabling.objects.filter(pk=self.row.pk)
        mine.update(order_begun_at=self.now)
        what = Order(self.row.task.key, self.wanted, self.row.reference, self._reason)
        try:
            with transaction.atomic():
                task = locked(self.row.task_id)
                order(self.source, what, self._see, lambda seen: self._require_still(task, seen), self.now)
        except (NotWantedError, UsageError):
            mine.filter(order_begun_at=self.now).update(order_begun_at=self.row.order_begun_at)
            raise

    @property
    def _reason(self) -> str:
        return self.row.reason if self.wanted is Wanted.DISABLE else self.row.undo_reason

    def _require_still(self, task: TrackedTask, seen: SeenTask | None) -> None:
        if seen is None:
            raise NotWantedError("Its system has it no more.")
        if self.wanted is Wanted.ENABLE:
            return
        if not self.row.automatic:
            require_unhindered(task, seen.facts.protected, self.now)
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

    def _finish(self, seen: SeenTask, found: str = "") -> None:
        finish = finish_disabling if self.wanted is Wanted.DISABLE else finish_undoing
        finish(self.row, seen, self.now, found)


TO_DO = Questions(due=_due, enabled_elsewhere=lambda now: enabled_elsewhere())
"""Whether there is something to work off, or to note."""
