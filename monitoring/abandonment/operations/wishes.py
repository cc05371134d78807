"""What people wish for a task: keep it until a date, exempt it, warn its owner now. Audited, each with a reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from monitoring.abandonment.evaluator import Fire, Hold, Warn
from monitoring.abandonment.facts import Trouble
from monitoring.abandonment.models import TrackedTask
from monitoring.abandonment.operations.carrying_out import carry_out
from monitoring.abandonment.operations.evaluating import evaluate_again, locked, memory_of
from monitoring.abandonment.words import HOLDS
from opsconsole import audit
from opsconsole.errors import UsageError

LONGEST_KEPT = timedelta(days=366)


def keep(task: TrackedTask, until: datetime, actor: audit.Actor, reason: str, now: datetime) -> None:
    """Nobody is warned and it is not disabled before `until`; a countdown ends. Raises UsageError for such a time."""
    if not now < until <= now + LONGEST_KEPT:
        raise UsageError("Keep it until a time from now on, within a year.")
    _wish(task, {"keep_until": until}, actor, reason, now, "tracked_task.kept", until=until.isoformat())


def keep_no_longer(task: TrackedTask, actor: audit.Actor, reason: str, now: datetime) -> None:
    """Its policy holds again; a warning begins anew, in full."""
    _wish(task, {"keep_until": None}, actor, reason, now, "tracked_task.kept_no_longer")


def exempt(task: TrackedTask, on: bool, actor: audit.Actor, reason: str, now: datetime) -> None:
    """Leave it alone until that is taken back, or take it back."""
    act = "tracked_task.exempted" if on else "tracked_task.exempted_no_longer"
    _wish(task, {"exempt": on}, actor, reason, now, act)


def _wish(
    task: TrackedTask,
    values: dict[str, Any],
    actor: audit.Actor,
    reason: str,
    now: datetime,
    act: str,
    **details: Any,
) -> None:
    with transaction.atomic():
        row = locked(task.pk)
        for name, value in {**values, "wish_reason": reason, "wish_by": actor.name, "wish_at": now}.items():
            setattr(row, name, value)
        evaluate_again(row, now)
        audit.record(actor, act, row.subject, reason=reason, **details)


def warn_now(task: TrackedTask, actor: audit.Actor, reason: str, now: datetime) -> None:
    """Write to its owner now, before its time or once more. It is disabled after that only where its policy does so.

    Raises UsageError where nobody can be written to, or nothing is wrong with it.
    """
    with transaction.atomic():
        row = locked(task.pk)
        _force(row, now)
        found = evaluate_again(row, now)
        if not any(isinstance(one, Warn) for one in found.decisions):
            raise UsageError(_why_not(found.hold))
        audit.record(
            actor, "tracked_task.warned_now", row.subject, reason=reason, to=row.owner, number=row.notice_number
        )


def _force(task: TrackedTask, now: datetime) -> None:
    """Make it one whose warning is due. Raises UsageError."""
    memory = memory_of(task)
    if not (task.enabled and task.has_shards) or task.gone_at is not None:
        raise UsageError(f"{task} is not enabled, or has no shards: nobody has to be warned.")
    if not task.owner:
        raise UsageError(f"Nobody knows an address of the owner of {task}.")
    if memory.failing_since is None and memory.quiet_since is None:
        raise UsageError(f"{task} is healthy and nobody knows when it moved data: there is nothing to warn of.")
    trouble = Trouble.ABANDONED if memory.failing_since is not None else Trouble.IDLE
    if memory.trouble not in (None, trouble):
        raise UsageError(f"{task} is not {memory.trouble} any more; the next look says what it is.")
    if memory.trouble is None:
        carry_out(task, [Fire(trouble)], now)
    since = memory.trouble_since or now
    task.remember(replace(memory, trouble=trouble, trouble_since=since, forced_at=now, notice=None))


def _why_not(hold: Hold) -> str:
    return HOLDS.get(hold.value, "") or "There is nothing to warn of: it was healthy again, or moved data."
