"""One task evaluated outside of a look: after a person's wish, and before and after it is disabled."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from monitoring.abandonment.evaluator import Evaluation, evaluate
from monitoring.abandonment.facts import Facts, Remembered
from monitoring.abandonment.models import SourceLook, TaskState, TrackedTask
from monitoring.abandonment.operations.asking import source_of
from monitoring.abandonment.operations.carrying_out import carry_out, delivered_at
from monitoring.abandonment.operations.looking import around_of
from opsconsole.errors import UsageError
from opsconsole.estate.model import TrackedSource


def locked(number: int) -> TrackedTask:
    """The task's row, locked until the transaction ends."""
    return TrackedTask.objects.select_for_update().get(pk=number)


def require_source(task: TrackedTask) -> TrackedSource:
    """Raises UsageError where the estate has its source no more."""
    source = source_of(task)
    if source is None:
        raise UsageError(f"The estate has no source {task.source} any more; nothing can be done about its tasks.")
    return source


def judge(task: TrackedTask, facts: Facts, now: datetime) -> Evaluation:
    """What would be done about it now. Five queries; changes nothing."""
    around = around_of(require_source(task), now)
    awaited = (
        [(task.pk, task.notice_number)] if task.notice_number is not None and task.notice_delivered_at is None else []
    )
    circumstances = around.circumstances(task.scope, delivered_at(awaited).get(task.pk))
    return evaluate(facts, memory_of(task), around.policies.rules(task.scope, task.kind), now, circumstances)


def memory_of(task: TrackedTask) -> Remembered:
    """What is remembered of it, seen until its source's last look."""
    memory, source = task.remembered, source_of(task)
    if source is None or source.reported:
        return memory
    looked_at = SourceLook.objects.filter(source=task.source).values_list("looked_at", flat=True).first()
    seen_later = looked_at is not None and task.gone_at is None and looked_at > memory.looked_at
    return replace(memory, looked_at=looked_at) if seen_later and looked_at else memory


def evaluate_again(task: TrackedTask, now: datetime, facts: Facts | None = None) -> Evaluation:
    """Evaluate by these facts, or by those last seen, and do what follows. Inside the task's transaction, locked."""
    seen = facts or task.facts
    found = judge(task, seen, now)
    _take_over(task, seen)
    task.remember(found.remembered)
    task.state, task.hold = TaskState(found.status.value), found.hold.value
    task.save()
    carry_out(task, found.decisions, now)
    return found


def _take_over(task: TrackedTask, facts: Facts) -> None:
    for name in Facts.__slots__:
        setattr(task, name, getattr(facts, name))
