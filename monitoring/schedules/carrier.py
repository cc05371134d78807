"""Runs among RQ's registries: how they are found from RQ's ids, and pushed again."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from monitoring.schedules import carrying
from monitoring.schedules.models import Run, RunState
from sync.reconcile import QUEUE_GRACE
from sync.registries.carriers import Carrier, register
from sync.registries.values import MOST_READ, Row, Standing


def _number(rq_id: str) -> int | None:
    number = carrying.run_id_of(rq_id)
    return number if number is not None and number < 2**63 else None


def _rows(numbers: Collection[int]) -> dict[int, Row]:
    runs = Run.objects.select_related("scheduled_job").order_by("pk")
    queued = Q(state=RunState.QUEUED, enqueued_at__lt=timezone.now() - QUEUE_GRACE)
    wanted = [
        runs.filter(pk__in=numbers),
        runs.filter(queued)[:MOST_READ],
        runs.filter(state=RunState.RUNNING)[:MOST_READ],
    ]
    return {run.pk: _row(run) for some in wanted for run in some}


def _row(run: Run) -> Row:
    state = RunState(run.state)
    standing = Standing.ENDED if state.terminal else Standing.WAITING
    at_work = state == RunState.RUNNING
    return Row(
        key=f"run:{run.pk}",
        what=f"Run {run.pk} of {run.scheduled_job}",
        state=state.label,
        standing=Standing.AT_WORK if at_work else standing,
        worker=run.worker if at_work else "",
        address=reverse("schedules:run", args=[run.pk]),
        should_wait=state == RunState.QUEUED
        and run.enqueued_at is not None
        and run.enqueued_at < timezone.now() - QUEUE_GRACE,
    )


def _push(numbers: Sequence[int]) -> None:
    queued = Run.objects.filter(pk__in=numbers, state=RunState.QUEUED).select_related("scheduled_job").order_by("pk")
    carrying.push_now([carrying.message_of(run) for run in queued])


register(Carrier("run", _number, _rows, _push))
