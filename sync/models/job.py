"""The durable job and its attempts. Every change of state is a guarded method here; nothing else writes `state`.

A running attempt holds the job by its fence, a number that rises with each claim. A write with an older fence finds no
row and changes nothing, so a worker that was taken for dead and comes back can do no harm.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Now

from opsconsole.tones import Tone
from sync.models.batch import Batch, Mode

if TYPE_CHECKING:
    from sync.operations.workers import WorkerIdentity


class JobKind(models.TextChoices):
    ORGANIZATION = "organization", "Organization"
    WINDOW = "window", "Window of an organization"
    TASKS = "tasks", "Tasks by hand"


ORGANIZATION_KINDS = (JobKind.ORGANIZATION, JobKind.WINDOW)
"""Kinds that work on one organization, of which it has one active at a time."""


class JobState(models.TextChoices):
    PLANNED = "planned", "Held back"
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    RETRYING = "retrying", "Waiting to retry"
    PAUSING = "pausing", "Pausing"
    CANCELLING = "cancelling", "Cancelling"
    CANCELLED = "cancelled", "Cancelled"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    LOOPING = "looping", "Looping"

    @property
    def tone(self) -> Tone:
        return _STATE_TONES[self]

    @property
    def terminal(self) -> bool:
        return self not in ACTIVE_STATES


HELD_STATES = (JobState.RUNNING, JobState.PAUSING, JobState.CANCELLING)
"""A worker's attempt has the job."""

CLAIMABLE_STATES = (JobState.QUEUED, JobState.RETRYING)
WAITING_STATES = (JobState.PLANNED, *CLAIMABLE_STATES)
"""No worker has the job: it can be cancelled at once. A planned one is not in the queue; its batch releases it."""

ACTIVE_STATES = (*WAITING_STATES, *HELD_STATES)

PROBLEM_STATES = (JobState.FAILED, JobState.LOOPING)
UNSUCCESSFUL_STATES = (*PROBLEM_STATES, JobState.CANCELLED)

_STATE_TONES = {
    JobState.PLANNED: Tone.WAITING,
    JobState.PAUSING: Tone.WAITING,
    JobState.QUEUED: Tone.WAITING,
    JobState.RUNNING: Tone.WORKING,
    JobState.RETRYING: Tone.WAITING,
    JobState.CANCELLING: Tone.WAITING,
    JobState.CANCELLED: Tone.ENDED,
    JobState.DONE: Tone.FINE,
    JobState.FAILED: Tone.PROBLEM,
    JobState.LOOPING: Tone.PROBLEM,
}


class Phase(models.TextChoices):
    WALK = "walk", "Comparing"
    VERIFY = "verify", "Verifying"


class JobQuerySet(models.QuerySet["Job"]):
    def active(self) -> JobQuerySet:
        return self.filter(state__in=ACTIVE_STATES)

    def active_organizations(self, organization_ids: Collection[str]) -> set[str]:
        """Which of these organizations have an active job. One query."""
        active = self.active().filter(kind__in=ORGANIZATION_KINDS, organization_id__in=organization_ids)
        return set(active.values_list("organization_id", flat=True))

    def held(self, fence: int) -> JobQuerySet:
        """The job as long as the attempt with `fence` still holds it."""
        return self.filter(fence=fence, state__in=HELD_STATES)

    def silent_for(self, seconds: float) -> JobQuerySet:
        """Jobs that somebody should be working on, without a heartbeat for so long. By the database's clock alone."""
        return self.filter(state__in=HELD_STATES, heartbeat_at__lt=Now() - timedelta(seconds=seconds))

    def claim(self, job_id: int, worker: WorkerIdentity) -> tuple[Job, Attempt] | None:
        """Take a waiting job: new fence, new attempt. None where it is not to be had; losing is not an error."""
        with transaction.atomic():
            taken = self.filter(
                Q(not_before=None) | Q(not_before__lte=Now()), pk=job_id, state__in=CLAIMABLE_STATES
            ).update(
                state=JobState.RUNNING,
                fence=F("fence") + 1,
                worker=worker.name,
                heartbeat_at=Now(),
                started_at=Coalesce(F("started_at"), Now()),
                not_before=None,
            )
            if not taken:
                return None
            job = self.select_related("batch").get(pk=job_id)
            return job, self.begin_attempt(job, worker)

    def untouched(self) -> JobQuerySet:
        """Queued jobs for whole organizations that nobody has begun."""
        return self.filter(
            state=JobState.QUEUED, kind=JobKind.ORGANIZATION, checkpoint=None, phase=Phase.WALK, not_before=None
        )

    def claim_all(self, job_ids: Collection[int], worker: WorkerIdentity) -> list[Job]:
        """Take those of the jobs that are still to be had: new fences, no attempts yet. Three statements."""
        with transaction.atomic():
            free = self.untouched().filter(pk__in=job_ids).order_by("pk").select_for_update(skip_locked=True)
            taken = list(free.values_list("pk", flat=True))
            self.filter(pk__in=taken).update(
                state=JobState.RUNNING,
                fence=F("fence") + 1,
                worker=worker.name,
                heartbeat_at=Now(),
                started_at=Coalesce(F("started_at"), Now()),
            )
        return list(self.filter(pk__in=taken).order_by("pk"))

    def begin_attempt(self, job: Job, worker: WorkerIdentity) -> Attempt:
        """The attempt of a job that was just claimed."""
        return Attempt.objects.create(
            job=job,
            number=job.fence,
            worker=worker.name,
            host=worker.host,
            pid=worker.pid,
            scanned_before=job.scanned,
        )

    def end(self, job_id: int, fence: int, state: JobState, **fields: object) -> bool:
        """End the job from the attempt that holds it. False: the attempt no longer does."""
        assert state.terminal, state
        return bool(self.filter(pk=job_id).held(fence).update(state=state, ended_at=Now(), heartbeat_at=None, **fields))

    def give_back(self, job_id: int, fence: int, **fields: object) -> bool:
        """Put a held job back in the queue, to go on from its checkpoint. A job being cancelled is not given back."""
        given = self.filter(pk=job_id, fence=fence, state=JobState.RUNNING)
        return bool(given.update(state=JobState.QUEUED, heartbeat_at=None, enqueued_at=Now(), **fields))

    def hold_back(self, job_id: int, fence: int, **fields: object) -> bool:
        """Put a pausing job aside until its batch is resumed."""
        pausing = self.filter(pk=job_id, fence=fence, state=JobState.PAUSING)
        return bool(pausing.update(state=JobState.PLANNED, heartbeat_at=None, **fields))

    def retry_later(self, job_id: int, fence: int, delay: timedelta, **fields: object) -> bool:
        held = self.filter(pk=job_id, fence=fence, state=JobState.RUNNING)
        return bool(held.update(state=JobState.RETRYING, heartbeat_at=None, not_before=Now() + delay, **fields))

    def cancel_waiting(self) -> int:
        """Cancel what no worker holds, at once. Returns how many the database changed."""
        return self.filter(state__in=WAITING_STATES).update(state=JobState.CANCELLED, ended_at=Now(), not_before=None)

    def ask_to_cancel(self) -> int:
        """Ask the workers that hold these jobs to stop at the next chunk. Returns how many were asked."""
        running = self.filter(state__in=(JobState.RUNNING, JobState.PAUSING))
        return running.update(state=JobState.CANCELLING, cancel_requested_at=Now())

    def hold_back_waiting(self) -> int:
        """Take jobs that wait in the queue out of it. RQ's message stays and will find nothing to claim."""
        return self.filter(state__in=CLAIMABLE_STATES).update(state=JobState.PLANNED, not_before=None)

    def ask_to_pause(self) -> int:
        """Ask the workers that hold these jobs to put them aside at the next chunk. Returns how many were asked."""
        return self.filter(state=JobState.RUNNING).update(state=JobState.PAUSING)

    def go_on(self) -> int:
        """Take back what `ask_to_pause` asked. A worker that has seen it already puts its job in the queue again."""
        return self.filter(state=JobState.PAUSING).update(state=JobState.RUNNING)

    def release(self) -> int:
        """Put jobs that were held back into the queue. Returns how many the database changed."""
        return self.filter(state=JobState.PLANNED).update(state=JobState.QUEUED, enqueued_at=Now())

    def plan_again(self) -> int:
        """Hold back what ended without success, to go on from its checkpoint when its batch releases it."""
        return self.filter(state__in=UNSUCCESSFUL_STATES).update(
            state=JobState.PLANNED,
            ended_at=None,
            not_before=None,
            cancel_requested_at=None,
            error="",
            error_type="",
            error_fingerprint="",
            failures=0,
            stalled_attempts=0,
        )

    def requeue(self, *, states: tuple[JobState, ...]) -> int:
        """Queue again what waits or has ended in one of `states`; counters and checkpoint stay."""
        return self.filter(state__in=states).update(
            state=JobState.QUEUED,
            not_before=None,
            ended_at=None,
            cancel_requested_at=None,
            enqueued_at=Now(),
            error="",
            error_type="",
            error_fingerprint="",
        )


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

    failures = models.PositiveSmallIntegerField(default=0)
    stalled_attempts = models.PositiveSmallIntegerField(default=0)
    error = models.TextField(blank=True)
    error_type = models.CharField(max_length=100, blank=True)
    error_fingerprint = models.CharField(max_length=16, blank=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        default_permissions = ("view",)
        permissions = [
            ("run_checks", "Can check organizations and publish what is out of sync"),
            ("cancel_job", "Can cancel jobs and batches"),
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
        ]

    def __str__(self) -> str:
        return f"Job {self.pk}"

    @property
    def status(self) -> JobState:
        return JobState(self.state)

    @property
    def drift_found(self) -> int:
        return self.stale + self.missing + self.orphan

    @property
    def subject(self) -> str:
        """What it works on, for people: an organization's id, or how many tasks."""
        return f"{len(self.task_ids)} tasks" if self.kind == JobKind.TASKS else self.organization_id


class AttemptOutcome(models.TextChoices):
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    KILLED = "killed", "Killed"
    VANISHED = "vanished", "Vanished"
    CANCELLED = "cancelled", "Cancelled"
    HIBERNATED = "hibernated", "Stopped at a checkpoint"

    @property
    def tone(self) -> Tone:
        return _OUTCOME_TONES[self]


_OUTCOME_TONES = {
    AttemptOutcome.RUNNING: Tone.WORKING,
    AttemptOutcome.DONE: Tone.FINE,
    AttemptOutcome.FAILED: Tone.PROBLEM,
    AttemptOutcome.KILLED: Tone.PROBLEM,
    AttemptOutcome.VANISHED: Tone.PROBLEM,
    AttemptOutcome.CANCELLED: Tone.ENDED,
    AttemptOutcome.HIBERNATED: Tone.WAITING,
}


class Attempt(models.Model):
    """One run of a job by one worker process. `number` is the fence of its claim; `peak_memory` is in bytes."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="attempts", db_index=False)
    number = models.BigIntegerField()
    worker = models.CharField(max_length=200)
    host = models.CharField(max_length=200)
    pid = models.IntegerField()
    started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=12, choices=AttemptOutcome.choices, default=AttemptOutcome.RUNNING)
    error = models.TextField(blank=True)
    peak_memory = models.BigIntegerField(null=True)
    scanned_before = models.BigIntegerField(default=0)
    scanned_after = models.BigIntegerField(null=True)

    class Meta:
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["job", "number"], name="attempt_number")]

    def __str__(self) -> str:
        return f"Attempt {self.number} of job {self.job_id}"

    @property
    def status(self) -> AttemptOutcome:
        return AttemptOutcome(self.outcome)

    @property
    def walked(self) -> int | None:
        """Tasks that this attempt walked; None while it runs."""
        return None if self.scanned_after is None else self.scanned_after - self.scanned_before


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

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["job", "id"], name="event_of_job")]

    def __str__(self) -> str:
        return self.message

    @property
    def status(self) -> EventLevel:
        return EventLevel(self.level)
