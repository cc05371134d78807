"""A task that a job could not compare or publish, and went on without."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from sync.engine.compare import Step
from sync.models.job import Job, OfJobManager


class SetAside(models.Model):
    """`error` is what the source, the index or the broker said of it."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="set_aside_tasks", db_index=False)
    task_id = models.CharField(max_length=200)
    step = models.CharField(max_length=10, choices=[(step.value, step.label) for step in Step])
    error = models.TextField()
    at = models.DateTimeField(db_default=Now())

    objects = OfJobManager["SetAside"]()

    class Meta:
        default_permissions = ("view",)
        verbose_name_plural = "tasks set aside"
        constraints = [models.UniqueConstraint(fields=["job", "task_id"], name="set_aside_once_per_job")]

    def __str__(self) -> str:
        return f"{self.task_id}: {self.error}"
