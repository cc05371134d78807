"""Missed runs and dead letters: run again, or ignored with a reason. Each is settled once."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from monitoring.schedules.models import TO_BE_SETTLED, Run, RunState
from monitoring.schedules.operations.asking import run_now
from opsconsole import audit
from opsconsole.errors import UsageError


def run_missed(run: Run, actor: audit.Actor) -> Run:
    """Run the job once for what was missed, or failed. Audited. Raises UsageError where that is settled."""
    became = "failed" if run.status is RunState.FAILED else "was missed"
    with transaction.atomic():
        _settle(run, actor, "Run again.")
        made = run_now(run.scheduled_job, actor, reason=f"For run {run.pk}, which {became}.").first
        Run.objects.filter(pk=run.pk).update(settled_reason=f"Run again as run {made.pk}.")
        audit.record(actor, "run.run_again", f"run:{run.pk}", trace_id=run.trace_id, run=made.pk)
    return made


def ignore_missed(run: Run, actor: audit.Actor, reason: str) -> None:
    """Say that nothing is to be done. Audited. Raises UsageError where it is settled."""
    with transaction.atomic():
        _settle(run, actor, reason)
        audit.record(actor, "run.ignored", f"run:{run.pk}", reason=reason, trace_id=run.trace_id)


def _settle(run: Run, actor: audit.Actor, reason: str) -> None:
    open_rows = Run.objects.filter(pk=run.pk, state__in=TO_BE_SETTLED, settled_at__isnull=True)
    if not open_rows.update(settled_at=timezone.now(), settled_by=actor.name, settled_reason=reason):
        raise UsageError(f"Run {run.pk} is settled already, or was neither missed nor failed.")
