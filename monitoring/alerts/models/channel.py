"""Where alerts are sent to (channels), which ones (subscriptions), and which not for now (mutes)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from monitoring.alerts.models.alert import SCOPE_LENGTH
from monitoring.alerts.types import KINDS, Severity, type_of
from opsconsole.sealed import UNREADABLE, SealedTextField
from opsconsole.tones import Tone
from opsconsole.words import duration

NAME_LENGTH = 60
KIND_LENGTH = 30
FROM_ENVIRONMENT = "env:"


class ChannelKind(models.TextChoices):
    EMAIL = "email", "E-mail"
    WEBHOOK = "webhook", "Webhook"
    SERVICE = "service", "Chat or paging service"


class ChannelState(models.TextChoices):
    ON = "on", "On"
    OFF = "off", "Off"

    @property
    def tone(self) -> Tone:
        return Tone.FINE if self is ChannelState.ON else Tone.PROBLEM


class Channel(models.Model):
    """One destination. `address` is an e-mail address, an http(s) URL or a service's URL as Apprise has it; but for
    e-mail it is a secret, encrypted in the database and never shown whole. `env:ALERT_…` names the environment variable
    that has it.

    `off_because` says why nothing is sent there; empty: it is on.
    """

    name = models.CharField(max_length=NAME_LENGTH, unique=True)
    kind = models.CharField(max_length=10, choices=ChannelKind.choices)
    address = SealedTextField()
    off_because = models.TextField(blank=True)
    off_since = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=150)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name

    @property
    def state(self) -> ChannelState:
        return ChannelState.OFF if self.off_because else ChannelState.ON

    @property
    def shown_address(self) -> str:
        """As a page shows it: whole for e-mail and variables; a webhook's host; of a service's which one it is."""
        whole = self.kind == ChannelKind.EMAIL or self.address.startswith(FROM_ENVIRONMENT)
        if whole or self.address == UNREADABLE:
            return self.address
        scheme, separator, rest = self.address.partition("://")
        host = re.split(r"[/?#]", rest)[0].rpartition("@")[2] if self.kind == ChannelKind.WEBHOOK else ""
        return f"{scheme}{separator}{host}{'/' if host else ''}…"


class Subscription(models.Model):
    """Which alerts a channel is told of. Empty `kinds`: all. `scope` is exact, or a prefix where it ends with `*`;
    empty: all. `least` is the least severity.

    With `after` it is an escalation: told only of what has been open for so long without being acknowledged. Between
    `quiet_from` and `quiet_to` in `zone`, what is not critical waits.
    """

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="subscriptions")
    kinds = ArrayField(models.CharField(max_length=KIND_LENGTH, choices=KINDS), default=list, blank=True)
    least = models.CharField(max_length=10, choices=Severity.choices, default=Severity.INFO)
    scope = models.CharField(max_length=SCOPE_LENGTH, blank=True)
    after = models.DurationField(default=timedelta(0))
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_to = models.TimeField(null=True, blank=True)
    zone = models.CharField(max_length=64, default="UTC")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.channel_id}: {', '.join(self.kinds) or 'all'}"

    @property
    def words(self) -> str:
        """What it is told of, in one line."""
        kinds = ", ".join(type_of(kind).label for kind in self.kinds) or "Everything"
        parts = [
            f"from {Severity(self.least).label.lower()} on" if self.least != Severity.INFO else "",
            f"in {self.scope}" if self.scope else "",
            f"when nobody acknowledges it within {duration(self.after.total_seconds())}" if self.after else "",
            f"quiet from {self.quiet_from:%H:%M} to {self.quiet_to:%H:%M} {self.zone}"
            if self.quiet_from and self.quiet_to
            else "",
        ]
        return ", ".join(filter(None, (kinds, *parts)))


class MuteQuerySet(models.QuerySet["Mute"]):
    def at(self, now: datetime) -> MuteQuerySet:
        return self.filter(lifted_at__isnull=True, until__gt=now)


class Mute(models.Model):
    """Nobody is told of alerts of this kind (empty: any) and scope (empty: any; `…*`: a prefix) until a time."""

    kind = models.CharField(max_length=KIND_LENGTH, choices=KINDS, blank=True)
    scope = models.CharField(max_length=SCOPE_LENGTH, blank=True)
    until = models.DateTimeField()
    reason = models.TextField()
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField()
    lifted_at = models.DateTimeField(null=True)
    lifted_by = models.CharField(max_length=150, blank=True)

    objects = MuteQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["until"], name="mute_until", condition=Q(lifted_at__isnull=True))]

    def __str__(self) -> str:
        return f"{self.kind or 'all'} {self.scope}".strip()
