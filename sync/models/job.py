"""The durable job. Its state changes only through `sync.models.transitions`; nothing else writes `state`."""

from __future__ import annotations

from typing import TypeVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from opsconsole.scoping import ScopedManager
from opsconsole.words import counted
from sync.models.batch import Batch, Mode
from sync.models.states import ACTIVE_STATES, HELD_STATES, ORGANIZATION_KINDS, JobKind, JobState, Phase
from sync.models.transitions import JobQuerySet

COUNTED_TASKS = 10_000
"""Tasks up to which an organization is counted; beyond it the source's estimate has to do until the walk is over."""

M = TypeVar("M", bound=models.Model)
JobManager = ScopedManager.from_queryset(JobQuerySet)


class Job(models.Model):
    """The work on one organization, or on one list of tasks. The row is the truth; the queue only carries its number.

    `checkpoint` is the last key walked (kinds organization and window) or the number of listed tasks done (kind tasks),
    as text; None before the first chunk. Counters cover exactly what lies before it: both move in
    one transaction.
    """

    kind = models.CharField(max_length=15, choices=JobKind.choices, default=JobKind.ORGANIZATION)
    mode = models.CharField(max_length=10, choices=Mode.choices, default=Mode.REPORT)
    organization_id = models.CharField(max_length=200, blank=True)
    organization_name = models.TextField(blank=True)
    task_ids = models.JSONField(default=list)
    window_from = models.DateTimeField(null=True)
    window_to = models.DateTimeField(null=True)
    batch = models.ForeignKey(Batch, null=True, on_delete=models.CASCADE, related_name="jobs", db_index=False)
    trace_id = models.UUIDField()
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(db_default=Now())

    state = models.CharField(max_length=12, choices=JobState.choices, default=JobState.QUEUED)
    phase = models.CharField(max_length=10, choices=Phase.choices, default=Phase.WALK)
    fence = models.BigIntegerField(default=0)
    checkpoint = models.TextField(null=True)  # noqa: DJ001  (None, nothing walked yet, differs from the empty text key)
    worker = models.CharField(max_length=200, blank=True)
    enqueued_at = models.DateTimeField(db_default=Now())
    heartbeat_at = models.DateTimeField(null=True)
    not_before = models.DateTimeField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    expected = models.BigIntegerField(null=True)
    scanned = models.BigIntegerField(default=0)
    stale = models.BigIntegerField(default=0)
    missing = models.BigIntegerField(default=0)
    orphan = models.BigIntegerField(default=0)
    unsettled = models.BigIntegerField(default=0)
    published = models.BigIntegerField(default=0)
    verified = models.BigIntegerField(default=0)
    unresolved = models.BigIntegerField(default=0)
    set_aside = models.BigIntegerField(default=0)

    waits_for = models.TextField(blank=True)
    failures = models.PositiveSmallIntegerField(default=0)
    stalled_attempts = models.PositiveSmallIntegerField(default=0)
    error = models.TextField(blank=True)
    error_type = models.CharField(max_length=100, blank=True)
    error_fingerprint = models.CharField(max_length=16, blank=True)

    objects = JobManager()

    class Meta:
        default_permissions = ("view",)
        permissions = [
            ("run_checks", "Can check organizations and publish what is out of sync"),
            ("cancel_job", "Can cancel jobs and batches"),
            ("delete_job", "Can delete jobs that have ended"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["organization_id"],
                condition=Q(state__in=ACTIVE_STATES, kind__in=ORGANIZATION_KINDS),
                name="one_active_job_per_organization",
            )
        ]
        indexes = [
            models.Index(fields=["batch", "id"], name="job_of_batch", condition=Q(batch__isnull=False)),
            models.Index(fields=["batch", "state", "id"], name="job_of_batch_state", condition=Q(batch__isnull=False)),
            models.Index(fields=["organization_id", "-id"], name="job_of_organization"),
            models.Index(fields=["state", "-id"], name="job_state"),
            models.Index(fields=["worker", "-id"], name="job_worker"),
            models.Index(fields=["error_fingerprint", "-id"], name="job_error", condition=~Q(error_fingerprint="")),
            models.Index(fields=["created_at"], name="job_created"),
            models.Index(fields=["trace_id"], name="job_trace", condition=Q(batch__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"Job {self.pk}"

    @property
    def status(self) -> JobState:
        return JobState(self.state)

    @property
    def expected_is_estimate(self) -> bool:
        """Whether `expected` may be the source's estimate: a large organization is not counted before it is walked."""
        return self.kind == JobKind.ORGANIZATION and self.phase == Phase.WALK and (self.expected or 0) > COUNTED_TASKS

    @property
    def held_up(self) -> str:
        """Why nothing is published just now, while a worker has the job; else empty. The text on the row may be of an
        attempt that was killed."""
        walking = self.state in HELD_STATES and self.phase == Phase.WALK
        return self.waits_for if walking else ""

    @property
    def drift_found(self) -> int:
        return self.stale + self.missing + self.orphan

    @property
    def subject(self) -> str:
        """What it works on, for people: an organization's id, or how many tasks."""
        return counted(len(self.task_ids), "task") if self.kind == JobKind.TASKS else self.organization_id


class OfJobManager(ScopedManager[M]):
    """Rows that belong to a job: as far as the job is seen."""

    organization_column = "job__organization_id"
