"""A range of keys of one large organization, walked by whichever worker has it, with a checkpoint of its own."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from opsconsole.tones import Tone
from sync.models.job import Job, OfJobManager


class RangeState(models.TextChoices):
    WAITING = "waiting", "Waiting"
    RUNNING = "running", "Running"
    DONE = "done", "Done"

    @property
    def tone(self) -> Tone:
        return _TONES[self]


_TONES = {RangeState.WAITING: Tone.WAITING, RangeState.RUNNING: Tone.WORKING, RangeState.DONE: Tone.FINE}


class RangeQuerySet(models.QuerySet["JobRange"]):
    """Every change of a range's state. Who takes a range has locked its job's row, so that no two take the same."""

    def take(self, job: Job, worker: str, *, most_bad_ends: int | None = None) -> JobRange | None:
        """The next waiting range of a job, with a new fence; None where none waits. Those in which nobody has ended
        badly come first, and those with more bad ends than allowed are left to others."""
        waiting = self.waiting().filter(job=job)
        if most_bad_ends is not None:
            waiting = waiting.filter(bad_ends__lte=most_bad_ends)
        found = waiting.order_by("bad_ends", "number").first()
        if found is None:
            return None
        taken = self.filter(pk=found.pk, state=RangeState.WAITING).update(
            state=RangeState.RUNNING, fence=F("fence") + 1, worker=worker, heartbeat_at=Now()
        )
        return self.get(pk=found.pk) if taken else None

    def held(self, range_id: int, fence: int) -> RangeQuerySet:
        """The range as long as the worker that took it with `fence` still has it."""
        return self.filter(pk=range_id, fence=fence, state=RangeState.RUNNING)

    def let_go(self, range_id: int, fence: int, *, badly: bool = False) -> bool:
        """Put a held range back, to go on from its checkpoint. `badly`: its worker died in it, or failed."""
        held = self.held(range_id, fence)
        bad_ends = F("bad_ends") + 1 if badly else F("bad_ends")
        return bool(held.update(state=RangeState.WAITING, heartbeat_at=None, bad_ends=bad_ends))

    def outdate(self, by: int) -> int:
        """Raise the fences of ranges that nobody has. Returns how many the database changed."""
        return self.waiting().update(fence=F("fence") + by)

    def waiting(self) -> RangeQuerySet:
        return self.filter(state=RangeState.WAITING)

    def running(self) -> RangeQuerySet:
        return self.filter(state=RangeState.RUNNING)

    def unfinished(self) -> RangeQuerySet:
        return self.exclude(state=RangeState.DONE)

    def silent_for(self, seconds: float) -> RangeQuerySet:
        """Ranges that a worker should be walking, without a heartbeat for so long. By the database's clock alone."""
        return self.running().filter(heartbeat_at__lt=Now() - timedelta(seconds=seconds))


RangeManager = OfJobManager.from_queryset(RangeQuerySet)


class JobRange(models.Model):
    """The tasks of a job's organization with keys in (lower, upper]; None leaves that end open.

    All ranges of a job together cover every key there can be, each key once. `checkpoint` is the last key walked in it;
    `scanned`, `drift` and `published` cover exactly what lies between `lower` and that, and are in the job's own
    counters, too. `bad_ends` counts the workers that died or failed in it.
    """

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="ranges", db_index=False)
    number = models.PositiveSmallIntegerField()
    lower = models.TextField(null=True)  # noqa: DJ001  (None, an open end, differs from the empty text key)
    upper = models.TextField(null=True)  # noqa: DJ001
    state = models.CharField(max_length=10, choices=RangeState.choices, default=RangeState.WAITING)
    fence = models.BigIntegerField(default=0)
    checkpoint = models.TextField(null=True)  # noqa: DJ001
    worker = models.CharField(max_length=200, blank=True)
    heartbeat_at = models.DateTimeField(null=True)
    bad_ends = models.PositiveSmallIntegerField(default=0)
    scanned = models.BigIntegerField(default=0)
    drift = models.BigIntegerField(default=0)
    published = models.BigIntegerField(default=0)

    objects = RangeManager()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["job", "number"], name="range_number")]
        indexes = [models.Index(fields=["worker"], name="range_running", condition=Q(state=RangeState.RUNNING))]

    def __str__(self) -> str:
        return f"Range {self.number} of job {self.job_id}"

    @property
    def status(self) -> RangeState:
        return RangeState(self.state)

    @property
    def begin(self) -> str | None:
        """The key behind which the walk goes on; None: from the organization's first."""
        return self.lower if self.checkpoint is None else self.checkpoint
