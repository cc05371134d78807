"""One disabling of a tracked task, from the wish to the undoing. The wish is a row before anything is done."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from monitoring.abandonment.models.states import IN_FORCE, UNDER_WAY, DisablingState
from monitoring.abandonment.models.task import TrackedTask


class Disabling(models.Model):
    """`automatic`: by the policy. `due_at` is when it is tried (again). From `order_begun_at` on, the latest order may
    have reached its system; None: none has left.

    A task has one in force at most; the reference is what its system is told, so that only this is undone.
    """

    task = models.ForeignKey(TrackedTask, on_delete=models.CASCADE, related_name="disablings", db_index=False)
    state = models.CharField(max_length=8, choices=DisablingState.choices, default=DisablingState.ASKED)
    automatic = models.BooleanField()
    trouble = models.CharField(max_length=10, blank=True)
    scope = models.CharField(max_length=260)
    reason = models.CharField(max_length=500)
    asked_at = models.DateTimeField()
    asked_by = models.CharField(max_length=150)
    due_at = models.DateTimeField()
    order_begun_at = models.DateTimeField(null=True)
    attempts = models.IntegerField(default=0)
    error = models.TextField(blank=True)
    done_at = models.DateTimeField(null=True)
    undo_asked_at = models.DateTimeField(null=True)
    undone_at = models.DateTimeField(null=True)
    undone_by = models.CharField(max_length=150, blank=True)
    undo_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["task"], condition=Q(state__in=IN_FORCE), name="one_disabling_in_force")
        ]
        indexes = [
            models.Index(fields=["due_at"], name="disablings_due", condition=Q(state__in=UNDER_WAY)),
            models.Index(fields=["scope", "asked_at"], name="disablings_of_scope"),
            models.Index(fields=["task", "-id"], name="disablings_of_task"),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def status(self) -> DisablingState:
        return DisablingState(self.state)

    @property
    def reference(self) -> str:
        return f"opsconsole-{self.pk}"
