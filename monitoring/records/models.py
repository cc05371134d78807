"""What the console keeps of records: counts as they were, how long a status usually takes, changed limits."""

from __future__ import annotations

from django.db import models

from opsconsole.scope import Scope
from opsconsole.scoping import ScopedManager

NAME_LENGTH = 60


class Snapshot(models.Model):
    """The counts by status of one record source at one moment, over the window that it had then.

    `counts`, `aged` and `stuck` map a status to a count. `aged` are records that have grown too old for the window
    since the snapshot before; `stuck` is None where it could not be told. All are empty where `error` says why nothing
    could be counted. `bucket` is the moment rounded down to the source's interval: one snapshot for each of them.
    """

    source = models.CharField(max_length=NAME_LENGTH)
    bucket = models.DateTimeField()
    taken_at = models.DateTimeField()
    seconds = models.FloatField()
    older_than = models.DurationField()
    younger_than = models.DurationField()
    counts = models.JSONField(default=dict)
    aged = models.JSONField(default=dict)
    stuck = models.JSONField(null=True)
    oldest_stuck = models.DateTimeField(null=True)
    error = models.TextField(blank=True)

    objects = ScopedManager["Snapshot"]()

    class Meta:
        default_permissions = ()
        permissions = [("view_records", "Can see record statuses")]
        constraints = [models.UniqueConstraint(fields=["source", "bucket"], name="one_snapshot_per_bucket")]
        indexes = [models.Index(fields=["source", "-taken_at"], name="snapshot_newest")]

    def __str__(self) -> str:
        return f"{self.source} at {self.taken_at:%Y-%m-%d %H:%M}"

    @staticmethod
    def narrowed(rows: models.QuerySet[Snapshot], scope: Scope) -> models.QuerySet[Snapshot]:
        """Those of the sources that are seen; none for whoever sees some organizations only: they count all of them."""
        if scope.organizations is not None:
            return rows.none()
        return rows if scope.record_sources is None else rows.filter(source__in=sorted(scope.record_sources))


class UsualTimes(models.Model):
    """How long it usually takes to be past each status: seconds by status, with how many records say so."""

    source = models.CharField(primary_key=True, max_length=NAME_LENGTH)
    measured_at = models.DateTimeField()
    seconds = models.JSONField(default=dict)
    error = models.TextField(blank=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.source


class ChangedLimits(models.Model):
    """What an administrator set on the page instead of the estate's window and limits. Empty: the estate's.

    `limits` maps a status to seconds.
    """

    source = models.CharField(primary_key=True, max_length=NAME_LENGTH)
    older_than = models.DurationField(null=True)
    younger_than = models.DurationField(null=True)
    limits = models.JSONField(default=dict)
    changed_by = models.CharField(max_length=150)
    changed_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        permissions = [("change_limits", "Can change windows and limits of record statuses")]

    def __str__(self) -> str:
        return self.source
