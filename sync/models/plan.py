"""The plan of a batch, as its preview showed it. What is queued is exactly this, or nothing."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class BatchPlan(models.Model):
    """`organizations` are ids in the order they would run; `options` what the form asked for; `hash` covers both.

    `expected_tasks`, `seconds_low` and `seconds_high` are the estimate that was shown, None where it could not be made.
    """

    hash = models.CharField(max_length=64)
    organizations = models.JSONField()
    options = models.JSONField()
    expected_tasks = models.BigIntegerField(null=True)
    seconds_low = models.FloatField(null=True)
    seconds_high = models.FloatField(null=True)
    made_by = models.CharField(max_length=150)
    made_at = models.DateTimeField(db_default=Now())
    batch = models.OneToOneField("sync.Batch", null=True, on_delete=models.SET_NULL, related_name="plan")

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["made_at"], name="plan_made")]

    def __str__(self) -> str:
        return f"Plan {self.hash[:12]}"
