"""One run of a job by one worker process."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from opsconsole.tones import Tone
from sync.models.job import Job, OfJobManager


class AttemptOutcome(models.TextChoices):
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    KILLED = "killed", "Killed"
    VANISHED = "vanished", "Vanished"
    CANCELLED = "cancelled", "Cancelled"
    HIBERNATED = "hibernated", "Stopped at a checkpoint"

    @property
    def tone(self) -> Tone:
        return _OUTCOME_TONES[self]


_OUTCOME_TONES = {
    AttemptOutcome.RUNNING: Tone.WORKING,
    AttemptOutcome.DONE: Tone.FINE,
    AttemptOutcome.FAILED: Tone.PROBLEM,
    AttemptOutcome.KILLED: Tone.PROBLEM,
    AttemptOutcome.VANISHED: Tone.PROBLEM,
    AttemptOutcome.CANCELLED: Tone.ENDED,
    AttemptOutcome.HIBERNATED: Tone.WAITING,
}


class Attempt(models.Model):
    """One run of a job by one worker process. `number` is the fence of its claim; `peak_memory` is in bytes.

    The attempt that leads a job has range number 0, and its tasks are all that were walked meanwhile. A worker that
    helps with a job that is split has an attempt for each range it takes: `number` is then the range's fence.
    """

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="attempts", db_index=False)
    number = models.BigIntegerField()
    range_number = models.PositiveSmallIntegerField(default=0)
    worker = models.CharField(max_length=200)
    host = models.CharField(max_length=200)
    pid = models.IntegerField()
    started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=12, choices=AttemptOutcome.choices, default=AttemptOutcome.RUNNING)
    error = models.TextField(blank=True)
    peak_memory = models.BigIntegerField(null=True)
    scanned_before = models.BigIntegerField(default=0)
    scanned_after = models.BigIntegerField(null=True)

    objects = OfJobManager["Attempt"]()

    class Meta:
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["job", "range_number", "number"], name="attempt_number")]

    def __str__(self) -> str:
        where = f"range {self.range_number} of " if self.range_number else ""
        return f"Attempt {self.number} of {where}job {self.job_id}"

    @property
    def status(self) -> AttemptOutcome:
        return AttemptOutcome(self.outcome)

    @property
    def walked(self) -> int | None:
        """Tasks that this attempt walked; None while it runs."""
        return None if self.scanned_after is None else self.scanned_after - self.scanned_before
