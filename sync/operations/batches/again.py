"""Plans made from an earlier batch: what is missing of it, the same again, a report on the same organizations."""

from __future__ import annotations

from dataclasses import replace

from django.db.models import Q

from opsconsole import audit
from opsconsole.errors import UsageError
from sync.models import Batch, BatchPlan, BatchRelation, Job, JobState, Mode
from sync.operations.batches.options import options_of
from sync.operations.batches.plan import make_plan
from sync.operations.batches.selection import Origin

UNFINISHED = ~Q(state=JobState.DONE) | Q(unresolved__gt=0) | Q(set_aside__gt=0)


def run_missing(batch: Batch, actor: audit.Actor) -> BatchPlan:
    """A plan for the organizations whose jobs are not done, or have tasks unresolved or set aside.

    Those active or on the skip list are left out, and the plan says so. Raises UsageError where none is missing.
    """
    names = _names(batch, UNFINISHED)
    if not names:
        raise UsageError(
            f"Nothing is missing of batch {batch.pk}: every job is done, and no task is unresolved or set aside."
        )
    return _plan(batch, names, BatchRelation.MISSING, actor, mode=Mode(batch.mode))


def clone(batch: Batch, actor: audit.Actor) -> BatchPlan:
    """A plan for the same organizations with the same options. Raises UsageError where none of them can be taken."""
    return _plan(batch, _names(batch, Q()), BatchRelation.CLONED, actor, mode=Mode(batch.mode), canary=batch.canary)


def report_again(batch: Batch, actor: audit.Actor) -> BatchPlan:
    """A plan to report on the same organizations again. Raises UsageError where none of them can be taken."""
    return _plan(batch, _names(batch, Q()), BatchRelation.REPORTED, actor, mode=Mode.REPORT)


def _names(batch: Batch, condition: Q) -> dict[str, str]:
    jobs = Job.objects.filter(condition, batch=batch).order_by("pk")
    return dict(jobs.values_list("organization_id", "organization_name"))


def _plan(
    batch: Batch,
    names: dict[str, str],
    relation: BatchRelation,
    actor: audit.Actor,
    *,
    mode: Mode,
    canary: int = 0,
) -> BatchPlan:
    size = len(names)
    options = replace(
        options_of(batch),
        mode=mode,
        size=size,
        canary=canary if canary < size else 0,
        auto_advance=False,
    )
    return make_plan(options, actor, Origin(names=names, previous=batch.pk, relation=relation))
