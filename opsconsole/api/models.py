"""What programs sign in with, and the answers that are kept for those who ask twice."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from opsconsole.tones import Tone


class TokenState(models.TextChoices):
    ACTIVE = "active", "Active"
    EXPIRED = "expired", "Expired"
    REVOKED = "revoked", "Revoked"

    @property
    def tone(self) -> Tone:
        return {"active": Tone.FINE, "expired": Tone.WAITING, "revoked": Tone.ENDED}[self.value]


class ApiToken(models.Model):
    """What a program signs in with, on behalf of a person or, without one, of the service named.

    Only the SHA-256 of the secret is kept: it is 256 random bits, which no table of digests can hold. `hint` has its
    first characters, to tell tokens apart. `permissions` are at most these, whatever the person holds.
    """

    name = models.CharField(max_length=80)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="api_tokens", db_index=False
    )
    service = models.CharField(max_length=80, blank=True)
    permissions = ArrayField(models.CharField(max_length=100))
    digest = models.CharField(max_length=64, unique=True)
    hint = models.CharField(max_length=12)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    revoked_by = models.CharField(max_length=150, blank=True)

    class Meta:
        default_permissions = ()
        permissions = [
            ("own_tokens", "Can make API tokens that act in the person's own name"),
            ("manage_tokens", "Can make API tokens of services, and revoke anybody's"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(user__isnull=False, service="") | (Q(user__isnull=True) & ~Q(service="")),
                name="token_of_person_or_service",
            )
        ]
        indexes = [models.Index(fields=["user", "-id"], name="token_of_user")]

    def __str__(self) -> str:
        return f"{self.name} ({self.hint}…)"

    @property
    def acts_as(self) -> str:
        """Who the audit log says has acted."""
        return self.user.get_username() if self.user else f"service:{self.service}"

    def state_at(self, now: datetime) -> TokenState:
        if self.revoked_at is not None:
            return TokenState.REVOKED
        return TokenState.EXPIRED if self.expires_at <= now else TokenState.ACTIVE


class IdempotentCall(models.Model):
    """One POST that named an idempotency key, and what it was answered; kept for a day.

    `status` is None while the call is under way, and after a process was killed in one whose act commits by itself.
    """

    token = models.ForeignKey(ApiToken, on_delete=models.CASCADE, related_name="+", db_index=False)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    begun_at = models.DateTimeField(db_default=Now())
    status = models.PositiveSmallIntegerField(null=True)
    content_type = models.CharField(max_length=100, blank=True)
    body = models.TextField(blank=True)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["token", "key"], name="one_call_per_idempotency_key")]
        indexes = [models.Index(fields=["begun_at"], name="idempotent_call_age")]

    def __str__(self) -> str:
        return self.key
