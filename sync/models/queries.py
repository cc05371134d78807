"""Queries for affected organizations: saved under a name, and each run kept with what it found."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from opsconsole.tones import Tone


class SavedQuery(models.Model):
    """A query somebody wants again. `parameters` are those of the page's address, as typed."""

    name = models.CharField(max_length=120)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    shared = models.BooleanField(default=False)
    parameters = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()
        verbose_name_plural = "saved queries"
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="query_name_per_owner")]

    def __str__(self) -> str:
        return self.name


class RunState(models.TextChoices):
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    CUT_OFF = "cut_off", "Cut off"
    CANCELLED = "cancelled", "Cancelled"
    FAILED = "failed", "Failed"

    @property
    def tone(self) -> Tone:
        return _TONES[self]

    @property
    def terminal(self) -> bool:
        return self is not RunState.RUNNING


_TONES = {
    RunState.RUNNING: Tone.WORKING,
    RunState.DONE: Tone.FINE,
    RunState.CUT_OFF: Tone.PROBLEM,
    RunState.CANCELLED: Tone.ENDED,
    RunState.FAILED: Tone.PROBLEM,
}


class QueryRun(models.Model):
    """One run of a query: window, person, time, how many organizations. Its rows are kept for a while, itself longer.

    `backend_pid` is the source's server process, by which the statement can be cancelled there. `rows_dropped_at` says
    that the rows were cleared away; the query can be run again from `parameters`.
    """

    saved_query = models.ForeignKey(SavedQuery, null=True, on_delete=models.SET_NULL, related_name="runs")
    parameters = models.JSONField(default=dict)
    window_from = models.DateTimeField()
    window_to = models.DateTimeField()
    started_by = models.CharField(max_length=150)
    started_at = models.DateTimeField(db_default=Now())
    heartbeat_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)
    state = models.CharField(max_length=10, choices=RunState.choices, default=RunState.RUNNING)
    backend_pid = models.IntegerField(null=True)
    organizations = models.BigIntegerField(default=0)
    tasks_updated = models.BigIntegerField(default=0)
    error = models.TextField(blank=True)
    rows_dropped_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        permissions = [("run_queries", "Can query the source for affected organizations")]
        indexes = [
            models.Index(fields=["state"], name="run_running", condition=Q(state=RunState.RUNNING)),
            models.Index(fields=["saved_query", "-id"], name="run_of_query"),
        ]

    def __str__(self) -> str:
        return f"Query run {self.pk}"

    @property
    def status(self) -> RunState:
        return RunState(self.state)


class AffectedRow(models.Model):
    """One organization that a run found. `last_check*` are what the console knew when the query ran."""

    run = models.ForeignKey(QueryRun, on_delete=models.CASCADE, related_name="rows", db_index=False)
    organization_id = models.CharField(max_length=200)
    name = models.TextField(blank=True)
    updated = models.BigIntegerField()
    completed = models.BigIntegerField()
    first_update = models.DateTimeField()
    last_update = models.DateTimeField()
    last_checked_at = models.DateTimeField(null=True)
    last_check_found = models.BigIntegerField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["run", "organization_id"], name="organization_once_per_run")]
        indexes = [
            models.Index(fields=["run", "updated", "id"], name="affected_by_updated"),
            models.Index(fields=["run", "last_update", "id"], name="affected_by_last_update"),
        ]

    def __str__(self) -> str:
        return self.organization_id
