"""The log of a job."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from opsconsole.tones import Tone
from sync.models.job import Job, OfJobManager


class EventLevel(models.TextChoices):
    INFO = "info", "Info"
    WARNING = "warning", "Warning"
    ERROR = "error", "Error"

    @property
    def tone(self) -> Tone:
        return {"info": Tone.ENDED, "warning": Tone.WAITING, "error": Tone.PROBLEM}[self.value]


class JobEvent(models.Model):
    """One line of a job's log. It lasts as long as the job, wherever its workers ran."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="events", db_index=False)
    at = models.DateTimeField(db_default=Now())
    attempt = models.BigIntegerField(default=0)
    level = models.CharField(max_length=10, choices=EventLevel.choices, default=EventLevel.INFO)
    message = models.TextField()

    objects = OfJobManager["JobEvent"]()

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["job", "id"], name="event_of_job")]

    def __str__(self) -> str:
        return self.message

    @property
    def status(self) -> EventLevel:
        return EventLevel(self.level)
