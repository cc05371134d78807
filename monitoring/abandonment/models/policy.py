"""Policies, as administrators save them."""

from __future__ import annotations

from datetime import timedelta

from django.core.validators import RegexValidator
from django.db import models

from monitoring.abandonment.models.task import TEXT_LENGTH
from monitoring.abandonment.rules import DEFAULT, Aim, Aimed, Rules, Stage

AIM = RegexValidator(r"\A[^*]*\*?\Z", "A star is allowed at the end only: eu-1, eu-*, or * for any.")
STAGES = [(stage.value, stage.label) for stage in Stage]
RULE_FIELDS = (
    *("failing_stage", "idle_stage", "failing_after", "idle_after", "watch_after", "notice", "recency", "lasting"),
    "reminders",
)


class Policy(models.Model):
    """What `rules.Rules` says, for the tasks that scope and kind fit. `reminders` are hours before the disabling."""

    scope = models.CharField(max_length=TEXT_LENGTH, default="*", validators=[AIM])
    kind = models.CharField(max_length=TEXT_LENGTH, default="*", validators=[AIM])
    failing_stage = models.SmallIntegerField(choices=STAGES, default=Stage.DETECT.value)
    idle_stage = models.SmallIntegerField(choices=STAGES, default=Stage.DETECT.value)
    failing_after = models.DurationField(default=DEFAULT.failing_after)
    idle_after = models.DurationField(default=DEFAULT.idle_after)
    watch_after = models.DurationField(default=DEFAULT.watch_after)
    notice = models.DurationField(default=DEFAULT.notice)
    recency = models.DurationField(default=DEFAULT.recency)
    lasting = models.DurationField(default=DEFAULT.lasting)
    reminders = models.JSONField(default=list)
    changed_at = models.DateTimeField()
    changed_by = models.CharField(max_length=150)

    class Meta:
        default_permissions = ()
        permissions = [("change_policies", "Can change policies of tracked tasks")]
        constraints = [models.UniqueConstraint(fields=["scope", "kind"], name="one_policy_per_aim")]

    def __str__(self) -> str:
        return f"{self.scope} / {self.kind}"

    @property
    def aim(self) -> Aim:
        return Aim(self.scope, self.kind)

    @property
    def rules(self) -> Rules:
        return Rules(
            Stage(self.failing_stage),
            Stage(self.idle_stage),
            self.failing_after,
            self.idle_after,
            self.watch_after,
            self.notice,
            self.recency,
            self.lasting,
            tuple(timedelta(hours=hours) for hours in self.reminders),
        )

    @property
    def aimed(self) -> Aimed:
        return Aimed(self.aim, self.rules)
