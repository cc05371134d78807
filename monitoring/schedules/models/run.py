"""The run of a scheduled job at one due time: one row for each, whatever became of it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import models, transaction
from django.db.models import ExpressionWrapper, F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce, Now

from monitoring.schedules.models.scheduled_job import ScheduledJob
from monitoring.schedules.models.states import (
    ACTIVE_RUNS,
    CLAIMABLE_RUNS,
    NOT_BEGUN,
    SETTLED_BY_PEOPLE,
    RunState,
    Trigger,
)
from monitoring.schedules.pings import Trouble

if TYPE_CHECKING:
    from sync.operations.workers import WorkerIdentity

END_SLACK = timedelta(seconds=5)
"""What a run that is stopped at its time limit may take to say so, before its end is missing."""

_LIMIT = ScheduledJob.objects.filter(pk=OuterRef("scheduled_job")).values("time_limit")
END_BY = ExpressionWrapper(Now() + Subquery(_LIMIT) + END_SLACK, models.DateTimeField())


class RunQuerySet(models.QuerySet["Run"]):
    """Every change of a run's state: a conditional UPDATE that says whether it changed something."""

    def active(self) -> RunQuerySet:
        return self.filter(state__in=ACTIVE_RUNS)

    def held(self, run_id: int, fence: int) -> RunQuerySet:
        """The run as long as the attempt with `fence` holds it."""
        return self.filter(pk=run_id, fence=fence, state=RunState.RUNNING)

    def silent_for(self, seconds: float) -> RunQuerySet:
        return self.filter(state=RunState.RUNNING, heartbeat_at__lt=Now() - timedelta(seconds=seconds))

    def claim(self, run_id: int, worker: WorkerIdentity) -> Run | None:
        """Take a waiting run for an attempt. None where it is not to be had; losing is not an error."""
        with transaction.atomic():
            taken = self.filter(
                Q(not_before=None) | Q(not_before__lte=Now()), pk=run_id, state__in=CLAIMABLE_RUNS
            ).update(
                state=RunState.RUNNING,
                fence=F("fence") + 1,
                attempt=F("attempt") + 1,
                worker=worker.name,
                heartbeat_at=Now(),
                started_at=Coalesce(F("started_at"), Now()),
                not_before=None,
                start_by=None,
                end_by=END_BY,
                trouble="",
                trouble_since=None,
            )
            return self.select_related("scheduled_job").get(pk=run_id) if taken else None

    def end(self, run_id: int, fence: int, state: RunState, **fields: object) -> bool:
        """End the run from the attempt that holds it. False: it no longer does."""
        assert state.terminal, state
        return self._let_go(run_id, fence, state=state, ended_at=Now(), **fields)

    def retry_later(self, run_id: int, fence: int, delay: timedelta, **fields: object) -> bool:
        return self._let_go(run_id, fence, state=RunState.RETRYING, not_before=Now() + delay, **fields)

    def queue_again(self, run_id: int, fence: int, **fields: object) -> bool:
        """From the attempt that holds it, at once. False: it no longer does."""
        return self._let_go(run_id, fence, state=RunState.QUEUED, enqueued_at=Now(), **fields)

    def outdate(self, by: int) -> int:
        """Raise the fences of runs that no attempt holds: what one of before still writes finds no row."""
        return self.exclude(state=RunState.RUNNING).update(fence=F("fence") + by)

    def become_unknown(self, cause: str) -> int:
        """What is under way may have ended, and nobody can say. Returns how many the database changed."""
        nothing: dict[str, object] = {"heartbeat_at": None, "not_before": None, "start_by": None, "end_by": None}
        nothing |= {"trouble": "", "trouble_since": None}
        return self.active().update(state=RunState.UNKNOWN, cause=cause, ended_at=Now(), **nothing)

    def _let_go(self, run_id: int, fence: int, **fields: object) -> bool:
        held = self.held(run_id, fence)
        without: dict[str, object] = {"heartbeat_at": None, "end_by": None, "trouble": "", "trouble_since": None}
        return bool(held.update(**without | fields))


class Run(models.Model):
    """`due_at` and the scheduled job are unique together: a due time that comes again is refused by the database.

    A row of due times that did not run may stand for several: from `due_at` to `due_until`, `count` of them. `fence`
    rises with each claim and `attempt` counts them; `cause` says why a run was missed, skipped or recovered.

    It is to begin by `start_by` and its attempt to end by `end_by`; both are None where nothing is awaited, and move by
    this console's own downtimes. `trouble` is what is wrong with it since `trouble_since`, as the clock noticed it.
    """

    scheduled_job = models.ForeignKey(ScheduledJob, on_delete=models.CASCADE, related_name="runs", db_index=False)
    due_at = models.DateTimeField()
    due_until = models.DateTimeField(null=True)
    count = models.PositiveIntegerField(default=1)
    trigger = models.CharField(max_length=10, choices=Trigger.choices, default=Trigger.DUE)
    requested_by = models.CharField(max_length=150, blank=True)
    reason = models.TextField(blank=True)
    idempotency_key = models.CharField(max_length=200, null=True, unique=True)  # noqa: DJ001  (unique where given)
    trace_id = models.UUIDField()

    state = models.CharField(max_length=10, choices=RunState.choices, default=RunState.QUEUED)
    cause = models.TextField(blank=True)
    fence = models.BigIntegerField(default=0)
    attempt = models.PositiveIntegerField(default=0)
    worker = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    enqueued_at = models.DateTimeField(null=True)
    not_before = models.DateTimeField(null=True)
    heartbeat_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    start_by = models.DateTimeField(null=True)
    end_by = models.DateTimeField(null=True)
    trouble = models.CharField(max_length=15, choices=[(one.value, one.value) for one in Trouble], blank=True)
    trouble_since = models.DateTimeField(null=True)
    error = models.TextField(blank=True)
    result = models.TextField(blank=True)
    settled_by = models.CharField(max_length=150, blank=True)
    settled_at = models.DateTimeField(null=True)
    settled_reason = models.TextField(blank=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["scheduled_job", "due_at"], name="one_run_per_due_time")]
        indexes = [
            models.Index(fields=["scheduled_job", "-id"], name="run_of_scheduled_job"),
            models.Index(fields=["state", "-id"], name="run_state"),
            models.Index(fields=["trace_id"], name="run_trace"),
            models.Index(fields=["not_before"], name="run_to_retry", condition=Q(state=RunState.RETRYING)),
            models.Index(
                fields=["-id"], name="run_missed", condition=Q(state__in=SETTLED_BY_PEOPLE, settled_at__isnull=True)
            ),
            models.Index(fields=["heartbeat_at"], name="run_alive", condition=Q(state=RunState.RUNNING)),
            models.Index(
                fields=["start_by"], name="run_start_by", condition=Q(state__in=NOT_BEGUN, start_by__isnull=False)
            ),
            models.Index(fields=["end_by"], name="run_end_by", condition=Q(state=RunState.RUNNING, trouble="")),
            models.Index(fields=["-id"], name="run_in_trouble", condition=~Q(trouble="") & Q(settled_at__isnull=True)),
            models.Index(
                fields=["-id"], name="run_dead_letter", condition=Q(state=RunState.FAILED, settled_at__isnull=True)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scheduled_job_id} due {self.due_at:%Y-%m-%d %H:%M:%S}"

    @property
    def status(self) -> RunState:
        return RunState(self.state)

    @property
    def seconds(self) -> float | None:
        """From its first start to its end; None where it has not both."""
        return (self.ended_at - self.started_at).total_seconds() if self.ended_at and self.started_at else None


class RunEvent(models.Model):
    """A line of a run's log."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="events", db_index=False)
    attempt = models.PositiveIntegerField(default=0)
    at = models.DateTimeField(db_default=Now())
    problem = models.BooleanField(default=False)
    message = models.TextField()

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["run", "id"], name="event_of_run")]

    def __str__(self) -> str:
        return self.message
