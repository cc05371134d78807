"""An alert: something is wrong with a subject since a time. And its history."""

from __future__ import annotations

from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Case, Q, When

from monitoring.alerts.types import KINDS, AlertType, Severity, type_of
from opsconsole.tones import Tone

SUBJECT_LENGTH = 300
SCOPE_LENGTH = 200
CHANNEL_LENGTH = 60


class AlertState(models.TextChoices):
    """Derived from the row and the time; nothing stores it."""

    OPEN = "open", "Open"
    ACKNOWLEDGED = "acknowledged", "Acknowledged"
    RESOLVED = "resolved", "Resolved"

    @property
    def tone(self) -> Tone:
        return _TONES[self]


_TONES = {AlertState.OPEN: Tone.PROBLEM, AlertState.ACKNOWLEDGED: Tone.WAITING, AlertState.RESOLVED: Tone.FINE}


class Held(models.TextChoices):
    """Why nobody is told of an open alert for now."""

    MUTED = "muted", "Muted"
    INCIDENT = "incident", "Part of an incident"
    FLAPPING = "flapping", "Flapping"

    @property
    def tone(self) -> Tone:
        return Tone.WAITING


class AlertQuerySet(models.QuerySet["Alert"]):
    def open(self) -> AlertQuerySet:
        return self.filter(resolved_at__isnull=True)

    def of(self, kind: str, subject: str) -> AlertQuerySet:
        return self.filter(kind=kind, subject=subject)


class Alert(models.Model):
    """At most one is open for each kind and subject: the database refuses a second.

    `first_at` is when it was opened, `last_at` when it was last fired, `count` how often. `seen` is what was seen, for
    people: label to value (`error`: the last error; `next`: what happens next and when). `channels` are names of
    channels that are told beside the subscriptions. `held` says why nobody is told for now, up to `held_until` at the
    latest. `incident` is the alert that stands for this one and others. `urgency` is the severity as a number.
    """

    kind = models.CharField(max_length=30, choices=KINDS)
    subject = models.CharField(max_length=SUBJECT_LENGTH)
    scope = models.CharField(max_length=SCOPE_LENGTH, blank=True)
    severity = models.CharField(max_length=10, choices=Severity.choices)
    urgency = models.GeneratedField(
        expression=Case(*(When(severity=one.value, then=one.rank) for one in Severity)),
        output_field=models.PositiveSmallIntegerField(),
        db_persist=True,
    )
    title = models.TextField()
    link = models.TextField(blank=True)
    owner = models.CharField(max_length=320, blank=True)
    channels = ArrayField(models.CharField(max_length=CHANNEL_LENGTH), default=list)
    seen = models.JSONField(default=dict)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    count = models.PositiveBigIntegerField(default=1)

    acknowledged_by = models.CharField(max_length=150, blank=True)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_until = models.DateTimeField(null=True)
    held = models.CharField(max_length=10, choices=Held.choices, blank=True)
    held_until = models.DateTimeField(null=True)
    incident = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="members")

    resolved_at = models.DateTimeField(null=True)
    resolved_because = models.TextField(blank=True)
    resolved_silently = models.BooleanField(default=False)

    objects = AlertQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_alerts", "Can see alerts and what was sent"),
            ("handle_alerts", "Can acknowledge, mute and annotate alerts, and send again what was given up"),
            ("change_channels", "Can change channels and subscriptions"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "subject"], condition=Q(resolved_at__isnull=True), name="one_open_alert_per_subject"
            )
        ]
        indexes = [
            models.Index(fields=["-first_at", "-id"], name="alert_newest"),
            models.Index(fields=["-first_at", "-id"], name="alert_open", condition=Q(resolved_at__isnull=True)),
            models.Index(fields=["-urgency", "-id"], name="alert_urgent", condition=Q(resolved_at__isnull=True)),
            models.Index(fields=["kind", "scope", "-first_at"], name="alert_gathered"),
            models.Index(fields=["kind", "subject", "-id"], name="alert_of_subject"),
            models.Index(fields=["held_until"], name="alert_held", condition=~Q(held="")),
            models.Index(
                fields=["acknowledged_until"], name="alert_ack", condition=Q(acknowledged_until__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def type(self) -> AlertType:
        return type_of(self.kind)

    @property
    def level(self) -> Severity:
        return Severity(self.severity)

    @property
    def hold(self) -> Held | None:
        return Held(self.held) if self.held else None

    def is_acknowledged(self, now: datetime) -> bool:
        return self.acknowledged_until is not None and now < self.acknowledged_until

    def state_at(self, now: datetime) -> AlertState:
        if self.resolved_at is not None:
            return AlertState.RESOLVED
        return AlertState.ACKNOWLEDGED if self.is_acknowledged(now) else AlertState.OPEN

    def look(self, now: datetime) -> None:
        """Read the clock once, for a page: `state` and `seconds` (open for so long) are those of `now`."""
        self.state = self.state_at(now)
        self.seconds = ((self.resolved_at or now) - self.first_at).total_seconds()


class EventKind(models.TextChoices):
    OPENED = "opened", "Opened"
    RESOLVED = "resolved", "Resolved"
    ACKNOWLEDGED = "acknowledged", "Acknowledged"
    UNACKNOWLEDGED = "unacknowledged", "No longer acknowledged"
    HELD = "held", "Held back"
    RELEASED = "released", "No longer held back"
    TOLD = "told", "Told"
    NOTE = "note", "Note"


class AlertEvent(models.Model):
    """A line of an alert's history. `actor` is empty where the console did it by itself."""

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="events", db_index=False)
    at = models.DateTimeField()
    kind = models.CharField(max_length=20, choices=EventKind.choices)
    actor = models.CharField(max_length=150, blank=True)
    text = models.TextField(blank=True)

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["alert", "id"], name="event_of_alert")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.text}"
