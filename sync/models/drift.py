"""One task that was out of sync, as one job found it: what each side had, where its message went, how it ended."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from opsconsole.tones import Tone
from sync.engine.rows import DriftKind
from sync.models.job import Job, OfJobManager


class Verification(models.TextChoices):
    """Whether the index was seen to have what was published. A report publishes nothing: nothing to verify.

    A row is never written as unresolved: it stays pending, and its job says that the verification was given up. To
    write each of hundreds of thousands of rows again would say no more, and cost nearly what publishing costs.
    """

    NONE = "none", "Reported only"
    PENDING = "pending", "Published"
    VERIFIED = "verified", "Verified"
    UNRESOLVED = "unresolved", "Unresolved"
    REFUSED = "refused", "Not published"

    @property
    def tone(self) -> Tone:
        return _TONES[self]

    def among(self) -> models.Q:
        """The drift rows that have it."""
        if self in {Verification.PENDING, Verification.UNRESOLVED}:
            given_up = {"job__unresolved": 0} if self is Verification.PENDING else {"job__unresolved__gt": 0}
            return models.Q(verification=Verification.PENDING, **given_up)
        return models.Q(verification=self)

    def in_job(self, unresolved: int) -> Verification:
        """What a row that has it stored shows, in a job with so many `unresolved`."""
        return Verification.UNRESOLVED if self is Verification.PENDING and unresolved else self


_TONES = {
    Verification.NONE: Tone.ENDED,
    Verification.PENDING: Tone.WORKING,
    Verification.VERIFIED: Tone.FINE,
    Verification.UNRESOLVED: Tone.PROBLEM,
    Verification.REFUSED: Tone.PROBLEM,
}


class Drift(models.Model):
    """`source` and `index` are the compared values as JSON objects, null where that side has no such task."""

    # Without a constraint in the database, which would look up the job of each of a hundred thousand rows: whoever
    # writes them holds the job's row locked in the same transaction (`Ledger.held`), and Django deletes them with it.
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="drift", db_index=False, db_constraint=False)
    task_id = models.CharField(max_length=200)
    kind = models.CharField(max_length=10, choices=[(kind.value, kind.value.title()) for kind in DriftKind])
    fields = ArrayField(models.TextField(), default=list)
    source = models.JSONField(null=True)
    index = models.JSONField(null=True)
    source_version = models.BigIntegerField(null=True)
    index_version = models.BigIntegerField(null=True)
    source_updated_at = models.DateTimeField(null=True)
    found_at = models.DateTimeField(db_default=Now())
    partition = models.IntegerField(null=True)
    offset = models.BigIntegerField(null=True)
    published_at = models.DateTimeField(null=True)
    verification = models.CharField(max_length=10, choices=Verification.choices, default=Verification.NONE)

    objects = OfJobManager["Drift"]()

    class Meta:
        default_permissions = ("view",)
        verbose_name_plural = "drift"
        constraints = [models.UniqueConstraint(fields=["task_id", "job"], name="drift_once_per_job")]
        indexes = [
            models.Index(fields=["job", "id"], name="drift_of_job"),
            models.Index(
                fields=["job", "id"], name="drift_to_verify", condition=models.Q(verification=Verification.PENDING)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.task_id}"

    @property
    def status(self) -> Verification:
        """Asks for the job, where it was not read along."""
        return Verification(self.verification).in_job(self.job.unresolved)
