"""The plan of a batch, as its preview showed it. What is queued is exactly this, or nothing."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from opsconsole.scope import Scope
from opsconsole.scoping import ScopedManager
from opsconsole.tones import Tone


class Approval(models.TextChoices):
    """Of a plan that is too large for one person to start."""

    NONE = "", "Not asked for"
    WAITING = "waiting", "Waiting for approval"
    APPROVED = "approved", "Approved"
    REFUSED = "refused", "Refused"

    @property
    def tone(self) -> Tone:
        return {"": Tone.ENDED, "waiting": Tone.WAITING, "approved": Tone.FINE, "refused": Tone.PROBLEM}[self.value]


class BatchPlan(models.Model):
    """`organizations` are ids in the order they would run; `options` what the form asked for; `hash` covers both.

    `expected_tasks`, `seconds_low` and `seconds_high` are the estimate that was shown, None where it could not be made.
    `asked_for` is who stands behind whoever asked for approval: the maker of a token, else the same person.
    """

    hash = models.CharField(max_length=64)
    organizations = models.JSONField()
    options = models.JSONField()
    expected_tasks = models.BigIntegerField(null=True)
    seconds_low = models.FloatField(null=True)
    seconds_high = models.FloatField(null=True)
    made_by = models.CharField(max_length=150)
    made_at = models.DateTimeField(db_default=Now())
    batch = models.OneToOneField("sync.Batch", null=True, on_delete=models.SET_NULL, related_name="plan")
    approval = models.CharField(max_length=10, choices=Approval.choices, default=Approval.NONE, blank=True)
    asked_by = models.CharField(max_length=150, blank=True)
    asked_by_user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    asked_for = models.CharField(max_length=150, blank=True)
    asked_reason = models.TextField(blank=True)
    asked_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=150, blank=True)
    decided_reason = models.TextField(blank=True)
    decided_at = models.DateTimeField(null=True)

    objects = ScopedManager["BatchPlan"]()

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(fields=["made_at"], name="plan_made"),
            models.Index(fields=["id"], condition=models.Q(approval="waiting"), name="plan_waiting"),
        ]

    def __str__(self) -> str:
        return f"Plan {self.hash[:12]}"

    @staticmethod
    def narrowed(rows: models.QuerySet[BatchPlan], scope: Scope) -> models.QuerySet[BatchPlan]:
        """Those of which every organization is seen, also each that was left out."""
        if scope.organizations is None:
            return rows
        seen = sorted(scope.organizations)
        return rows.filter(
            organizations__contained_by=seen,
            options__shown__active__contained_by=seen,
            options__shown__skipped__contained_by=seen,
            options__options__auto_advance=False,
        )

    @property
    def approval_status(self) -> Approval:
        return Approval(self.approval)
