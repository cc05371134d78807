"""What is known of the sources themselves: when they were read, when they could not be, and outages of their scopes."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from monitoring.abandonment.guards import Outage
from monitoring.abandonment.models.task import NAME_LENGTH, TEXT_LENGTH


class SourceLook(models.Model):
    """The last look at a source. `looked_at` is the last one that read everything; `error` says why the latest could
    not, since `unreadable_since`. `busy_until`: somebody looks, and is taken for dead after that."""

    source = models.CharField(primary_key=True, max_length=NAME_LENGTH)
    looked_at = models.DateTimeField(null=True)
    tried_at = models.DateTimeField(null=True)
    busy_until = models.DateTimeField(null=True)
    seconds = models.FloatField(default=0)
    tasks = models.IntegerField(default=0)
    error = models.TextField(blank=True)
    unreadable_since = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.source


class LookGap(models.Model):
    """A time in which nobody could see the tasks of a source."""

    source = models.CharField(max_length=NAME_LENGTH)
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["source", "began_at"], name="one_gap_from_a_moment")]

    def __str__(self) -> str:
        return f"{self.source} from {self.began_at:%Y-%m-%d %H:%M}"


class ScopeOutage(models.Model):
    """Many tasks of a scope that began to fail together: a system that is down, not customers who went away."""

    source = models.CharField(max_length=NAME_LENGTH)
    scope = models.CharField(max_length=TEXT_LENGTH, blank=True)
    began_at = models.DateTimeField()
    found_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    together = models.IntegerField()
    total = models.IntegerField()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["source", "scope"], condition=Q(ended_at__isnull=True), name="one_open_outage_per_scope"
            )
        ]
        indexes = [models.Index(fields=["source", "ended_at"], name="outages_of_source")]

    def __str__(self) -> str:
        return f"{self.source} {self.scope}"

    @property
    def subject(self) -> str:
        return f"tracked_scope:{self.source}/{self.scope}"

    @property
    def outage(self) -> Outage:
        return Outage(self.found_at, self.ended_at)
