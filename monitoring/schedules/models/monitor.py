"""A monitor expects pings of a job that runs elsewhere; the pings that came, and the runs they tell of."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from monitoring.schedules.models.scheduled_job import JOB_NAME, NAME_LENGTH, Origin
from monitoring.schedules.pings import (
    PingKind,
    Rules,
    State,
    Status,
    Stored,
    Trouble,
    expected_at,
    is_started,
    status_at,
)
from opsconsole.due import After, Cron, Schedule
from opsconsole.tones import Tone

BODY_BYTES = 10_000
BURST = 30
"""Pings that an address takes at once; it then takes ten a minute."""


def new_key() -> str:
    """22 characters that nobody guesses, and no UUID: an address with a key cannot be taken for a monitor's own."""
    return secrets.token_urlsafe(16)


class PingKey(models.Model):
    """A secret under which monitors can be pinged by name, and made by a ping. One for a team or a system."""

    name = models.CharField(max_length=NAME_LENGTH, unique=True)
    key = models.CharField(max_length=40, default=new_key, unique=True)
    created_at = models.DateTimeField(db_default=Now())
    created_by = models.CharField(max_length=150)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name


class Monitor(models.Model):
    """Exactly one of `cron` (with `zone`) and `period` is given. `code` is its unguessable address.

    `stored` to `trouble` are its state, which pings and silence fold into (`monitoring.schedules.pings`); `deadline` is
    when it goes down without another ping, put off by `moved_by` for the time that this console was not looking.
    `tokens` at `tokens_at` is what is left of its rate limit; `limited_*` is the last ping beyond it, which is folded
    in like any other and of which nothing else is kept.
    """

    name = models.CharField(max_length=NAME_LENGTH, validators=[JOB_NAME])
    key = models.ForeignKey(PingKey, null=True, on_delete=models.CASCADE, related_name="monitors")
    code = models.UUIDField(default=uuid.uuid4, unique=True)
    description = models.TextField(blank=True)
    origin = models.CharField(max_length=10, choices=Origin.choices, default=Origin.CONSOLE)
    owner = models.CharField(max_length=200, blank=True)
    channels = ArrayField(models.CharField(max_length=NAME_LENGTH), default=list, blank=True)

    cron = models.CharField(max_length=200, blank=True)
    zone = models.CharField(max_length=64, default="UTC")
    period = models.DurationField(null=True, blank=True)
    grace = models.DurationField(default=timedelta(hours=1))
    time_limit = models.DurationField(default=timedelta(minutes=30))
    failures_to_open = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(100)]
    )
    successes_to_close = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(100)]
    )
    manual_resume = models.BooleanField(default=False)

    stored = models.CharField(
        max_length=10, choices=[(one.value, one.value.title()) for one in Stored], default=Stored.NEW.value
    )
    last_ping = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    successes = models.PositiveIntegerField(default=0)
    trouble = models.CharField(max_length=15, choices=[(one.value, one.value) for one in Trouble], blank=True)
    trouble_since = models.DateTimeField(null=True)
    open_runs = models.JSONField(default=dict)
    deadline = models.DateTimeField(null=True)
    moved_by = models.DurationField(default=timedelta(0))
    created_at = models.DateTimeField(db_default=Now())

    tokens = models.FloatField(default=float(BURST), db_default=float(BURST))
    tokens_at = models.DateTimeField(db_default=Now())
    limited_kind = models.CharField(max_length=10, blank=True, db_default="")
    limited_at = models.DateTimeField(null=True)
    limited_rid = models.UUIDField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["key", "name"], name="monitor_name", nulls_distinct=False),
            models.CheckConstraint(
                condition=Q(cron="", period__isnull=False) | (~Q(cron="") & Q(period__isnull=True)),
                name="cron_or_period",
            ),
        ]
        indexes = [
            models.Index(fields=["deadline"], name="monitor_deadline", condition=Q(deadline__isnull=False)),
            models.Index(fields=["limited_at"], name="monitor_limited", condition=Q(limited_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def schedule(self) -> Schedule:
        return Cron(self.cron, ZoneInfo(self.zone)) if self.period is None else After(self.period)

    @property
    def rules(self) -> Rules:
        return Rules(
            self.schedule,
            self.grace,
            self.time_limit,
            self.failures_to_open,
            self.successes_to_close,
            self.manual_resume,
        )

    @property
    def state(self) -> State:
        """The stored state as the pure functions take it."""
        runs = {
            uuid.UUID(rid) if rid else None: datetime.fromisoformat(started) for rid, started in self.open_runs.items()
        }
        trouble = Trouble(self.trouble) if self.trouble else None
        return State(
            Stored(self.stored), self.last_ping, MappingProxyType(runs), self.failures, self.successes, trouble
        )

    @state.setter
    def state(self, state: State) -> None:
        self.stored, self.last_ping = state.stored.value, state.last_ping
        self.failures, self.successes = state.failures, state.successes
        self.trouble = state.trouble.value if state.trouble else ""
        self.open_runs = {str(rid) if rid else "": started.isoformat() for rid, started in state.runs.items()}

    def status_at(self, now: datetime) -> Status:
        return status_at(self.state, self.rules, now - self.moved_by)

    def look(self, now: datetime) -> None:
        """Read the clock once, for a page: `shown` is its status then."""
        self.shown = Shown.of(self.status_at(now))

    @property
    def started(self) -> bool:
        """Whether a run is open, which is shown over the status."""
        return is_started(self.state)

    @property
    def expected_at(self) -> datetime | None:
        return expected_at(self.state, self.rules)


@dataclass(frozen=True, slots=True)
class Shown:
    """A status as a badge has it."""

    status: Status
    label: str
    tone: Tone

    @classmethod
    def of(cls, status: Status) -> Shown:
        return cls(status, status.value.title(), STATUS_TONES[status])


STATUS_TONES = {
    Status.NEW: Tone.ENDED,
    Status.UP: Tone.FINE,
    Status.LATE: Tone.WAITING,
    Status.DOWN: Tone.PROBLEM,
    Status.PAUSED: Tone.WAITING,
}

STATE_FIELDS = (
    *("stored", "last_ping", "failures", "successes", "trouble", "trouble_since", "open_runs", "deadline", "moved_by"),
    *("limited_kind", "limited_at", "limited_rid"),
)
"""The columns that folding a ping or a silence writes."""


class Looked(models.Model):
    """When the clock last looked at all runs and monitors: a gap since then is a downtime of this console's own. The
    last one was from `gap_from` to `gap_until`; None: there was none."""

    name = models.CharField(primary_key=True, max_length=20)
    at = models.DateTimeField()
    gap_from = models.DateTimeField(null=True)
    gap_until = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name


class Ping(models.Model):
    """One ping as it came; `folded` once it is in its monitor's state."""

    monitor = models.ForeignKey(Monitor, on_delete=models.CASCADE, related_name="pings", db_index=False)
    at = models.DateTimeField(db_default=Now())
    kind = models.CharField(max_length=10, choices=[(one.value, one.value.title()) for one in PingKind])
    exit_status = models.PositiveSmallIntegerField(null=True)
    rid = models.UUIDField(null=True)
    method = models.CharField(max_length=10)
    agent = models.CharField(max_length=200, blank=True)
    body = models.BinaryField(default=bytes)
    duration = models.DurationField(null=True)
    folded = models.BooleanField(default=False, db_default=False)

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(fields=["monitor", "-id"], name="ping_of_monitor"),
            models.Index(fields=["id"], name="ping_to_fold", condition=Q(folded=False)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.monitor_id}"

    @property
    def seconds(self) -> float | None:
        """How long the run took that it ended; None where it ended none."""
        return None if self.duration is None else self.duration.total_seconds()

    @property
    def text(self) -> str:
        """The body as text, for showing; what is no UTF-8 is marked."""
        return bytes(self.body).decode("utf-8", "replace")
