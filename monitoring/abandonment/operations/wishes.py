"""What people wish for a task: keep it until a date, exempt it, warn its owner now, disable it, enable it again.

Audited, each with a reason.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from monitoring.abandonment.evaluator import Fire, Hold, Warn
from monitoring.abandonment.facts import Trouble
from monitoring.abandonment.guards import nothing_is_disabled
from monitoring.abandonment.models import UNDER_WAY, Disabling, DisablingState, TrackedTask
from monitoring.abandonment.operations import outages
from monitoring.abandonment.operations.asking import make
from monitoring.abandonment.operations.carrying_out import carry_out
from monitoring.abandonment.operations.evaluating import evaluate_again, locked, memory_of, require_source
from monitoring.abandonment.words import HOLDS
from opsconsole import audit
from opsconsole.errors import UsageError
from opsconsole.estate.model import TrackedSource

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
    require_unhindered(task, task.protected, now)


def require_unhindered(task: TrackedTask, protected: bool, now: datetime) -> None:
    """Raises UsageError where the task must not be disabled, whoever wants it. One query."""
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
        if not done.update(state=DisablingState.UNDOING, attempts=0, error="", order_begun_at=None, **values):
            raise UsageError(f"{row} was not disabled from here, so it cannot be enabled from here.")
        asked = Disabling.objects.get(task=row, state=DisablingState.UNDOING)
        audit.record(actor, "tracked_task.enabling_asked", row.subject, reason=reason, disabling=asked.reference)
    return asked
