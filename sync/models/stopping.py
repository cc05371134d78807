"""The ladder: what was asked of a running job's process, whether it has heard, and how it ended."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce, Concat, Now

from sync.models.job import Job, OfJobManager


class Step(models.TextChoices):
    """In the order in which they are climbed."""

    CANCEL = "cancel", "Cancel"
    STOP = "stop", "Stop"
    KILL = "kill", "Kill"

    @property
    def rank(self) -> int:
        return list(Step).index(self)

    @property
    def done(self) -> str:
        """What was done to a job, for a sentence."""
        return {Step.CANCEL: "cancelled", Step.STOP: "stopped", Step.KILL: "killed"}[self]


class StopStepQuerySet(models.QuerySet["StopStep"]):
    def open(self) -> StopStepQuerySet:
        """Steps whose process has not ended yet, as far as anybody knows."""
        return self.filter(ended_at=None)

    def acknowledge(self, sentence: str) -> int:
        """Note that the process, or who sends it signals, has heard. Once: a second call changes nothing."""
        unheard = self.filter(acknowledged_at=None)
        return unheard.update(acknowledged_at=Now(), evidence=_with(sentence))

    def add_evidence(self, sentence: str) -> int:
        return self.update(evidence=_with(sentence))

    def close(self, job_id: int, fence: int, sentence: str, *, heard: bool = False) -> None:
        """The attempt has ended: every step asked of it has. `heard`: it ended because it was asked."""
        steps = self.open().filter(job_id=job_id, attempt=fence)
        ended: dict[str, object] = {"ended_at": Now(), "evidence": _with(sentence)}
        steps.update(**ended | ({"acknowledged_at": Coalesce(F("acknowledged_at"), Now())} if heard else {}))


def _with(sentence: str) -> Concat:
    """The evidence there is and one more line."""
    return Concat(F("evidence"), Value(f"{sentence}\n"))


StopStepManager = OfJobManager.from_queryset(StopStepQuerySet)


class StopStep(models.Model):
    """One step asked of one attempt. `attempt` is the job's fence then; `evidence` has a sentence in each line.

    `acknowledged_at` is when the process, or the worker that owns it, said that it has heard; `ended_at` when the
    attempt was over, and `evidence` says how that is known.
    """

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="stop_steps", db_index=False)
    attempt = models.BigIntegerField()
    step = models.CharField(max_length=10, choices=Step.choices)
    requested_at = models.DateTimeField(db_default=Now())
    requested_by = models.CharField(max_length=150)
    reason = models.TextField(blank=True)
    acknowledged_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    evidence = models.TextField(blank=True)

    objects = StopStepManager()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["job", "attempt", "step"], name="step_asked_once")]
        indexes = [models.Index(fields=["job"], name="step_open", condition=Q(ended_at=None))]

    def __str__(self) -> str:
        return f"{self.status.label} of job {self.job_id}"

    @property
    def status(self) -> Step:
        return Step(self.step)

    @property
    def sentences(self) -> list[str]:
        return self.evidence.splitlines()
