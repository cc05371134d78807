"""Queries for affected organizations: saved under a name, and each run kept with what it found."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from opsconsole.scope import Scope
from opsconsole.scoping import ScopedManager
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
        permissions = [("share_queries", "Can save queries for everybody")]
        verbose_name_plural = "saved queries"
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="query_name_per_owner")]

    def __str__(self) -> str:
        return self.name


class RunState(models.TextChoices):
    RUNNING = "running", "Running"
    CANCELLING = "cancelling", "Cancelling"
    DONE = "done", "Done"
    CUT_OFF = "cut_off", "Cut off"
    CANCELLED = "cancelled", "Cancelled"
    FAILED = "failed", "Failed"

    @property
    def tone(self) -> Tone:
        return _TONES[self]

    @property
    def terminal(self) -> bool:
        return self not in OPEN_STATES


OPEN_STATES = (RunState.RUNNING, RunState.CANCELLING)
"""A thread of a web process is at it."""

_TONES = {
    RunState.RUNNING: Tone.WORKING,
    RunState.CANCELLING: Tone.WAITING,
    RunState.DONE: Tone.FINE,
    RunState.CUT_OFF: Tone.PROBLEM,
    RunState.CANCELLED: Tone.ENDED,
    RunState.FAILED: Tone.PROBLEM,
}


class QueryRunQuerySet(models.QuerySet["QueryRun"]):
    """Every change of a run's state. Each says whether the database made it: a run that somebody ended stays ended."""

    def connect(self, run_id: int, backend_pid: int) -> bool:
        """Note the source's server process. False: the run is no longer wanted, so nothing must be asked."""
        return self._change(run_id, RunState.RUNNING, backend_pid=backend_pid)

    def progress(self, run_id: int, organizations: int, tasks_updated: int) -> bool:
        return self._change(run_id, RunState.RUNNING, organizations=organizations, tasks_updated=tasks_updated)

    def beat(self, run_id: int) -> bool:
        return self._change(run_id, *OPEN_STATES)

    def ask_to_cancel(self, run_id: int) -> bool:
        return bool(self.filter(pk=run_id, state=RunState.RUNNING).update(state=RunState.CANCELLING))

    def end(self, run_id: int, state: RunState, error: str = "") -> bool:
        assert state.terminal, state
        return self._change(run_id, *OPEN_STATES, state=state, error=error, ended_at=Now())

    def end_silent(self, seconds: float, error: str) -> int:
        """Fail the runs whose thread has not been heard of for so long. By the database's clock alone."""
        silent = self.filter(state__in=OPEN_STATES, heartbeat_at__lt=Now() - timedelta(seconds=seconds))
        return silent.update(state=RunState.FAILED, error=error, ended_at=Now())

    def _change(self, run_id: int, *states: RunState, **fields: object) -> bool:
        return bool(self.filter(pk=run_id, state__in=states).update(heartbeat_at=Now(), **fields))


QueryRunManager = ScopedManager.from_queryset(QueryRunQuerySet)


class QueryRun(models.Model):
    """One run of a query: window, person, time, how many organizations. Its rows are kept for a while, itself longer.

    `within` are the organizations that it was limited to, None for all. `backend_pid` is the source's server process,
    by which the statement can be cancelled there. `rows_dropped_at` says that the rows were cleared away; the query can
    be run again from `parameters`.
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
    within = ArrayField(models.CharField(max_length=200), null=True)

    objects = QueryRunManager()

    class Meta:
        default_permissions = ()
        permissions = [("run_queries", "Can query the source for affected organizations")]
        indexes = [
            models.Index(fields=["state"], name="run_open", condition=Q(state__in=OPEN_STATES)),
            models.Index(fields=["saved_query", "-id"], name="run_of_query"),
        ]

    def __str__(self) -> str:
        return f"Query run {self.pk}"

    @staticmethod
    def narrowed(rows: models.QuerySet[QueryRun], scope: Scope) -> models.QuerySet[QueryRun]:
        """Those that looked for nothing outside: what a run has counted is then seen, too."""
        return rows if scope.organizations is None else rows.filter(within__contained_by=sorted(scope.organizations))

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

    objects = ScopedManager["AffectedRow"]()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["run", "organization_id"], name="organization_once_per_run")]
        indexes = [
            models.Index(fields=["run", "updated", "id"], name="affected_by_updated"),
            models.Index(fields=["run", "last_update", "id"], name="affected_by_last_update"),
        ]

    def __str__(self) -> str:
        return self.organization_id
