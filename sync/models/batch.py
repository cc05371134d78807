"""A batch: organizations taken from the set together, checked in one mode."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from opsconsole.tones import Tone


class Mode(models.TextChoices):
    REPORT = "report", "Report: only say what is out of sync"
    SYNC = "sync", "Sync: publish what is out of sync"


class BatchState(models.TextChoices):
    RUNNING = "running", "Running"
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
    BatchState.CANCELLING: Tone.WAITING,
    BatchState.DONE: Tone.FINE,
    BatchState.CANCELLED: Tone.ENDED,
}


class Batch(models.Model):
    """Its jobs say how it went; `state` and `ended_at` change only through `sync.operations.batches`."""

    mode = models.CharField(max_length=10, choices=Mode.choices)
    size = models.PositiveIntegerField()
    state = models.CharField(max_length=12, choices=BatchState.choices, default=BatchState.RUNNING)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)
    trace_id = models.UUIDField()

    class Meta:
        default_permissions = ("view",)
        verbose_name_plural = "batches"

    def __str__(self) -> str:
        return f"Batch {self.pk}"

    @property
    def status(self) -> BatchState:
        return BatchState(self.state)
