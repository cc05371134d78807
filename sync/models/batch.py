"""A batch: organizations taken from the set together, checked in one mode."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from opsconsole.scope import Scope
from opsconsole.scoping import ScopedManager
from opsconsole.tones import Tone


class Mode(models.TextChoices):
    REPORT = "report", "Report: only say what is out of sync"
    SYNC = "sync", "Sync: publish what is out of sync"


class BatchOrder(models.TextChoices):
    """Which of the staged organizations a batch takes first."""

    OLDEST = "oldest", "Oldest staged first"
    LARGEST = "largest", "Largest first"
    SMALLEST = "smallest", "Smallest first"


class BatchRelation(models.TextChoices):
    """How a batch came from the one before it."""

    ADVANCED = "advanced", "Started by itself after"
    CLONED = "cloned", "Clone of"
    MISSING = "missing", "Runs again what is missing of"
    REPORTED = "reported", "Reports again on"


class BatchState(models.TextChoices):
    RUNNING = "running", "Running"
    PAUSED = "paused", "Paused"
    CANCELLING = "cancelling", "Cancelling"
    DONE = "done", "Done"
    CANCELLED = "cancelled", "Cancelled"

    @property
    def tone(self) -> Tone:
        return _TONES[self]

    @property
    def terminal(self) -> bool:
        return self in (BatchState.DONE, BatchState.CANCELLED)


_TONES = {
    BatchState.RUNNING: Tone.WORKING,
    BatchState.PAUSED: Tone.WAITING,
    BatchState.CANCELLING: Tone.WAITING,
    BatchState.DONE: Tone.FINE,
    BatchState.CANCELLED: Tone.ENDED,
}


class Batch(models.Model):
    """Its jobs say how it went; `state` and `ended_at` change only through `sync.operations.batches`.

    With a window its jobs look only at tasks updated in it. `most_at_once` bounds how many are queued or running
    (None: no bound); `stop_after_failures` pauses it, not counting the `failures_accepted` of those who let it go on;
    `canary` jobs run first and wait for a person's go. `keep_staged` leaves the organizations in the set after a
    report. `messages_per_second` and `lag_limit` throttle what its jobs publish, on top of the estate's limits, and may
    change while they run (None: no limit of its own). `auto_advance` starts the next batch when this one is done, and
    is taken back where that chain has ended. `summary` has the sums over its jobs (`sync.batch_sums`) as they were when
    it ended: a list of batches would otherwise add up all jobs of each. `previous` and `relation` say which batch it
    came from and how.
    """

    name = models.CharField(max_length=120, blank=True)
    tags = ArrayField(models.CharField(max_length=40), default=list)
    mode = models.CharField(max_length=10, choices=Mode.choices)
    size = models.PositiveIntegerField()
    order = models.CharField(max_length=10, choices=BatchOrder.choices, default=BatchOrder.OLDEST)
    window_from = models.DateTimeField(null=True)
    window_to = models.DateTimeField(null=True)
    most_at_once = models.PositiveIntegerField(null=True)
    stop_after_failures = models.PositiveIntegerField(null=True)
    failures_accepted = models.PositiveIntegerField(default=0)
    canary = models.PositiveIntegerField(default=0)
    canary_passed = models.BooleanField(default=False)
    messages_per_second = models.PositiveIntegerField(null=True)
    lag_limit = models.PositiveBigIntegerField(null=True)
    keep_staged = models.BooleanField(default=True)
    auto_advance = models.BooleanField(default=False)
    previous = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="next_batches")
    relation = models.CharField(max_length=10, choices=BatchRelation.choices, blank=True)
    plan_hash = models.CharField(max_length=64, blank=True)
    expected_tasks = models.BigIntegerField(null=True)
    state = models.CharField(max_length=12, choices=BatchState.choices, default=BatchState.RUNNING)
    pause_reason = models.TextField(blank=True)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)
    summary = models.JSONField(null=True)
    trace_id = models.UUIDField()

    objects = ScopedManager["Batch"]()

    class Meta:
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["state"], name="batch_state"),
            models.Index(fields=["trace_id"], name="batch_trace"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["previous"], condition=Q(relation=BatchRelation.ADVANCED), name="batch_advances_once"
            )
        ]
        verbose_name_plural = "batches"

    def __str__(self) -> str:
        return f"Batch {self.pk}"

    @staticmethod
    def narrowed(rows: models.QuerySet[Batch], scope: Scope) -> models.QuerySet[Batch]:
        """A batch is seen whole or not at all: where every organization in it is. One that starts the next by itself
        takes from all that is staged, so it lies outside of every scope."""
        if scope.organizations is None:
            return rows
        jobs = Batch._meta.get_field("jobs").related_model._base_manager.filter(batch=OuterRef("pk"))
        seen = Q(organization_id__in=sorted(scope.organizations))
        return rows.filter(Exists(jobs.filter(seen)), ~Exists(jobs.exclude(seen)), auto_advance=False)

    @property
    def status(self) -> BatchState:
        return BatchState(self.state)
