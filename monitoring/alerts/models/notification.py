"""The outbox: one row for each message that is to reach one destination, written in the transaction of its cause."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import models
from django.db.models import F, Q

from monitoring.alerts.models.alert import Alert
from monitoring.alerts.models.channel import Channel
from opsconsole.tones import Tone


class NotificationState(models.TextChoices):
    QUEUED = "queued", "Waiting"
    SENDING = "sending", "Being sent"
    DELIVERED = "delivered", "Delivered"
    DEAD = "dead", "Given up"
    WITHDRAWN = "withdrawn", "Not needed any more"

    @property
    def tone(self) -> Tone:
        return _TONES[self]


_TONES = {
    NotificationState.QUEUED: Tone.WAITING,
    NotificationState.SENDING: Tone.WORKING,
    NotificationState.DELIVERED: Tone.FINE,
    NotificationState.DEAD: Tone.PROBLEM,
    NotificationState.WITHDRAWN: Tone.ENDED,
}


class About(models.TextChoices):
    """What a message says of its alert."""

    FIRED = "fired", "Fired"
    RESOLVED = "resolved", "Resolved"
    COMBINED = "combined", "Fired and resolved"
    STILL_OPEN = "still_open", "Still open"
    ESCALATED = "escalated", "Escalated"
    FLAPPING = "flapping", "Flapping"
    NOTICE = "notice", "Notice"
    DIGEST = "digest", "Digest"
    TEST = "test", "Test"


TELLS_OF_OPENING = (About.FIRED, About.STILL_OPEN, About.ESCALATED, About.FLAPPING)


class NotificationQuerySet(models.QuerySet["Notification"]):
    """Every change of a notification's state: a conditional UPDATE that says whether it changed something."""

    def waiting(self) -> NotificationQuerySet:
        return self.filter(state=NotificationState.QUEUED)

    def due(self, now: datetime) -> NotificationQuerySet:
        """What can leave: neither part of a digest nor for a channel that is off, where only a test goes."""
        on = Q(channel__isnull=True) | Q(channel__off_because="") | Q(about=About.TEST)
        return self.waiting().filter(on, digest__isnull=True, due_at__lte=now)

    def take(self, rows: Sequence[Notification], now: datetime, until: datetime) -> None:
        """Hold these rows, which the transaction has locked, and the members of digests among them, up to `until`."""
        numbers = [row.pk for row in rows]
        taken = {"state": NotificationState.SENDING, "lease_until": until}
        self.filter(pk__in=numbers).update(**taken, attempts=F("attempts") + 1, last_attempt_at=now)
        self.filter(digest__in=numbers, state=NotificationState.QUEUED).update(**taken)
        for row in rows:
            row.attempts += 1

    def held(self, number: int, attempt: int) -> NotificationQuerySet:
        """The row as long as the sender of this attempt holds it."""
        return self.filter(pk=number, state=NotificationState.SENDING, attempts=attempt)

    def free_lost(self, now: datetime) -> int:
        """What a sender claimed and did not settle within its lease can be sent again, with the same key."""
        return self.filter(lease_until__lte=now).free_sending(now)

    def free_sending(self, due_at: datetime) -> int:
        """What a sender claimed and will not settle waits again, since `due_at`."""
        sending = self.filter(state=NotificationState.SENDING)
        return sending.update(state=NotificationState.QUEUED, lease_until=None, due_at=due_at)

    def withdraw(self) -> int:
        """Of what has not left: nobody needs to know any more."""
        return self.waiting().update(state=NotificationState.WITHDRAWN)


class Notification(models.Model):
    """`key` is the idempotency key: the same with every attempt, so that a receiver can drop a repetition.

    It goes to `channel`, or to the e-mail address `to`; `to` is an e-mail channel's address, too, since limits go by
    person. `context` is what `template` is rendered with. Nothing is sent before `due_at`, and it is given up after
    `give_up_at`. A row with a `digest` leaves as part of that one and shares its end.
    """

    key = models.CharField(max_length=300, unique=True)
    alert = models.ForeignKey(Alert, null=True, on_delete=models.CASCADE, related_name="notifications", db_index=False)
    channel = models.ForeignKey(
        Channel, null=True, on_delete=models.CASCADE, related_name="notifications", db_index=False
    )
    to = models.CharField(max_length=320, blank=True)
    about = models.CharField(max_length=12, choices=About.choices)
    template = models.CharField(max_length=100)
    context = models.JSONField(default=dict)
    critical = models.BooleanField(default=False)

    state = models.CharField(max_length=10, choices=NotificationState.choices, default=NotificationState.QUEUED)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField()
    give_up_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    last_attempt_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)
    delivered_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    digest = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="members")

    objects = NotificationQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(
                fields=["due_at", "id"],
                name="notification_due",
                condition=Q(state=NotificationState.QUEUED, digest__isnull=True),
            ),
            models.Index(
                fields=["lease_until"], name="notification_leased", condition=Q(state=NotificationState.SENDING)
            ),
            models.Index(fields=["state", "-id"], name="notification_state"),
            models.Index(fields=["alert", "id"], name="notification_of_alert", condition=Q(alert__isnull=False)),
            models.Index(fields=["channel", "-last_attempt_at"], name="notification_of_channel"),
            models.Index(fields=["to", "-last_attempt_at"], name="notification_to", condition=~Q(to="")),
            models.Index(fields=["ended_at"], name="notification_ended", condition=Q(ended_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.key

    @property
    def status(self) -> NotificationState:
        return NotificationState(self.state)
