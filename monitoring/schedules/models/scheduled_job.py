"""A scheduled job: what is done, when, and how its failures and downtimes are treated."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from monitoring.schedules.catchup import Policy
from monitoring.schedules.models.states import Action, Overlap
from opsconsole.due import Cron, Due, Every, Schedule
from opsconsole.estate.model import CatchUp
from opsconsole.outgoing import place_of
from opsconsole.tones import Tone

NAME_LENGTH = 60
JOB_NAME = RegexValidator(
    r"^[a-z0-9][a-z0-9_-]*$", "Use small letters, digits, - and _; begin with a letter or a digit."
)


class Origin(models.TextChoices):
    """Who keeps the definition: the estate file, which wins at every start, or people in the console."""

    ESTATE = "estate", "Estate file"
    CONSOLE = "console", "Console"


class Standing(models.TextChoices):
    """Whether the clock starts it."""

    ENABLED = "enabled", "Enabled"
    DISABLED = "disabled", "Disabled"

    @property
    def tone(self) -> Tone:
        return Tone.FINE if self is Standing.ENABLED else Tone.ENDED


def usual_retries() -> list[int]:
    return [300, 600, 1200]


class ScheduledJob(models.Model):
    """Exactly one of `cron` (with `zone`) and `interval` is given. `watermark` is the last due time that was decided,
    and nothing before it comes again; `next_due` is the first after it, None where there is none.

    `retry_delays` are seconds, one for each attempt after the first.
    """

    name = models.CharField(max_length=NAME_LENGTH, unique=True, validators=[JOB_NAME])
    description = models.TextField(blank=True)
    origin = models.CharField(max_length=10, choices=Origin.choices, default=Origin.CONSOLE)
    enabled = models.BooleanField(default=True)
    disabled_by = models.CharField(max_length=150, blank=True)
    disabled_at = models.DateTimeField(null=True)
    disabled_reason = models.TextField(blank=True)
    owner = models.CharField(max_length=200, blank=True)
    channels = ArrayField(models.CharField(max_length=NAME_LENGTH), default=list, blank=True)

    action = models.CharField(max_length=10, choices=Action.choices)
    operation = models.CharField(max_length=NAME_LENGTH, blank=True)
    parameters = models.JSONField(default=dict, blank=True)

    cron = models.CharField(max_length=200, blank=True)
    zone = models.CharField(max_length=64, default="UTC")
    interval = models.DurationField(null=True, blank=True)
    anchor = models.DateTimeField(db_default=Now())

    critical = models.BooleanField(default=False)
    catch_up = models.CharField(
        max_length=10, choices=[(one.value, one.value.title()) for one in CatchUp], default=CatchUp.LATEST.value
    )
    recovery_window = models.DurationField(default=timedelta(hours=2))
    grace = models.DurationField(default=timedelta(hours=1))
    time_limit = models.DurationField(default=timedelta(minutes=30))
    retry_delays = ArrayField(models.PositiveIntegerField(), default=usual_retries, blank=True)
    overlap = models.CharField(max_length=10, choices=Overlap.choices, default=Overlap.SKIP)
    after = ArrayField(models.CharField(max_length=NAME_LENGTH), default=list, blank=True)

    watermark = models.DateTimeField(db_default=Now())
    next_due = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_schedules", "Can see scheduled jobs, runs and monitors"),
            ("run_scheduled", "Can run scheduled jobs now and settle missed runs"),
            ("change_schedules", "Can change scheduled jobs and monitors"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(cron="", interval__isnull=False) | (~Q(cron="") & Q(interval__isnull=True)),
                name="cron_or_interval",
            )
        ]
        indexes = [models.Index(fields=["next_due"], name="scheduled_job_due", condition=Q(enabled=True))]

    def __str__(self) -> str:
        return self.name

    @property
    def schedule(self) -> Schedule:
        """As it was checked when it was saved. No query."""
        if self.interval is not None:
            return Every(self.interval, self.anchor)
        return Cron(self.cron, ZoneInfo(self.zone))

    @property
    def next_due_shown(self) -> Due | None:
        """The next due time, for showing; None where there is none."""
        if not self.enabled or self.next_due is None:
            return None
        return Due(self.next_due, self.next_due.astimezone(ZoneInfo(self.zone)))

    @property
    def address(self) -> str:
        """Where an HTTP call goes, without user, password or query: fit for a page."""
        return place_of(str(self.parameters.get("url", "")))

    @property
    def standing(self) -> Standing:
        return Standing.ENABLED if self.enabled else Standing.DISABLED

    @property
    def policy(self) -> Policy:
        return Policy(self.critical, CatchUp(self.catch_up), self.recovery_window)

    @property
    def attempts_allowed(self) -> int:
        return 1 + len(self.retry_delays)
