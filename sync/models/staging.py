"""The set of organizations that wait for a batch, and the list of those that had to be left out."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from sync.models.batch import Batch

ID_LENGTH = 200


class StagedOrganization(models.Model):
    """An organization that waits for a batch; in the set once, whoever staged it.

    A `sync` batch takes it out of the set. A `report` batch leaves it and notes itself in `reported_in`.
    """

    organization_id = models.CharField(primary_key=True, max_length=ID_LENGTH)
    name = models.TextField(blank=True)
    staged_at = models.DateTimeField(db_default=Now())
    staged_by = models.CharField(max_length=150)
    origin = models.CharField(max_length=200, blank=True)
    reported_in = models.ForeignKey(Batch, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        default_permissions = ()
        permissions = [("stage_organizations", "Can stage organizations and take them out of the set")]
        indexes = [models.Index(fields=["staged_at", "organization_id"], name="staged_order")]

    def __str__(self) -> str:
        return self.organization_id


class SkipReason(models.TextChoices):
    LOOPED = "looped", "Looped"
    TOO_LARGE = "too_large", "Too large"
    BY_HAND = "by_hand", "By hand"
    OTHER = "other", "Other"


class SkippedOrganization(models.Model):
    """An organization that batches leave out, until somebody takes it off the list or syncs it by window."""

    organization_id = models.CharField(primary_key=True, max_length=ID_LENGTH)
    name = models.TextField(blank=True)
    reason = models.CharField(max_length=20, choices=SkipReason.choices)
    note = models.TextField(blank=True)
    job = models.ForeignKey("sync.Job", null=True, on_delete=models.SET_NULL, related_name="+")
    skipped_by = models.CharField(max_length=150)
    skipped_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.organization_id
