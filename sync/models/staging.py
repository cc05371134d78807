"""The set of organizations that wait for a batch, and the list of those that had to be left out."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from opsconsole.scoping import ScopedManager
from sync.models.batch import Batch

ID_LENGTH = 200
ROWS_PER_STATEMENT = 5_000


class StagedOrganization(models.Model):
    """An organization that waits for a batch; in the set once, whoever staged it.

    A `sync` batch takes it out of the set. A `report` batch leaves it and notes itself in `reported_in`.
    """

    organization_id = models.CharField(primary_key=True, max_length=ID_LENGTH)
    name = models.TextField(blank=True)
    staged_at = models.DateTimeField(db_default=Now())
    staged_by = models.CharField(max_length=150)
    origin = models.CharField(max_length=200, blank=True)
    query_run = models.ForeignKey("sync.QueryRun", null=True, on_delete=models.SET_NULL, related_name="+")
    task_count = models.BigIntegerField(null=True)
    reported_in = models.ForeignKey(Batch, null=True, on_delete=models.SET_NULL, related_name="+")

    objects = ScopedManager["StagedOrganization"]()

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


class SkippedQuerySet(models.QuerySet["SkippedOrganization"]):
    def open(self) -> SkippedQuerySet:
        return self.filter(resolved_at=None)

    def open_organizations(self, organization_ids: Collection[str]) -> set[str]:
        """Which of these organizations are on the list now. One query."""
        return set(self.open().filter(organization_id__in=organization_ids).values_list("organization_id", flat=True))

    def put_on(
        self,
        names: Mapping[str, str],
        reason: SkipReason,
        note: str,
        by: str,
        jobs: Mapping[str, int] | None = None,
    ) -> list[str]:
        """Put organizations, id → name, on the list; those that are on it stay as they are. Returns the ids put on now.

        `jobs` says by which job, where there was one. Whoever else does the same at this moment waits, and adds none.
        """
        before = self.open_organizations(names.keys())
        new = [organization for organization in names if organization not in before]
        entries = [
            SkippedOrganization(
                organization_id=organization,
                name=names[organization],
                reason=reason,
                note=note,
                job_id=(jobs or {}).get(organization),
                skipped_by=by,
            )
            for organization in new
        ]
        self.bulk_create(entries, batch_size=ROWS_PER_STATEMENT, ignore_conflicts=True)
        return new


SkippedManager = ScopedManager.from_queryset(SkippedQuerySet)


class SkippedOrganization(models.Model):
    """An organization that batches leave out, until it is taken off the list or a later job has synced it.

    A resolved entry stays as history; one open entry per organization.
    """

    organization_id = models.CharField(max_length=ID_LENGTH)
    name = models.TextField(blank=True)
    reason = models.CharField(max_length=20, choices=SkipReason.choices)
    note = models.TextField(blank=True)
    job = models.ForeignKey("sync.Job", null=True, on_delete=models.SET_NULL, related_name="+")
    skipped_by = models.CharField(max_length=150)
    skipped_at = models.DateTimeField(db_default=Now())
    resolved_at = models.DateTimeField(null=True)
    resolved_by_job = models.ForeignKey("sync.Job", null=True, on_delete=models.SET_NULL, related_name="+")
    resolution = models.CharField(max_length=200, blank=True)

    objects = SkippedManager()

    class Meta:
        default_permissions = ()
        permissions = [("skip_organizations", "Can put organizations on the skip list and take them off")]
        constraints = [
            models.UniqueConstraint(
                fields=["organization_id"], condition=Q(resolved_at=None), name="one_open_skip_per_organization"
            )
        ]
        indexes = [models.Index(fields=["organization_id"], name="skip_of_organization")]

    def __str__(self) -> str:
        return self.organization_id
