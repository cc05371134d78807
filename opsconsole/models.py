"""What both halves of the console stand on: people, limits of their groups, saved filters, the clock's lease, the audit
log, and what is under way of a retention pass and after a restore."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser, Group
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from opsconsole.access import Role, permission
from opsconsole.api.models import ApiToken
from opsconsole.scope import Scope
from opsconsole.scoping import ScopedManager


class User(AbstractUser):
    """A person of the support staff. Our own class from the start: Django cannot swap it in later.

    `zone` is the time zone in which pages show times to them beside UTC; empty: the browser's.
    """

    zone = models.CharField(max_length=64, blank=True)

    class Meta:
        permissions = [("use_console", "Can open the console"), ("view_metrics", "Can read the metrics")]


USE_CONSOLE = permission("opsconsole.use_console", Role.VIEWER)
VIEW_METRICS = permission("opsconsole.view_metrics", Role.VIEWER)
OWN_TOKENS = permission("opsconsole.own_tokens", Role.VIEWER, elevated=True)
MANAGE_TOKENS = permission("opsconsole.manage_tokens", Role.ADMINISTRATOR, elevated=True)


class GroupScope(models.Model):
    """What a group is limited to: bare ids of organizations, names of record sources. Empty: all of them.

    A group without limits has no row, so that whoever is in none that has pays nothing.
    """

    group = models.OneToOneField(Group, on_delete=models.CASCADE, related_name="scope")
    organizations = ArrayField(models.CharField(max_length=200), default=list)
    record_sources = ArrayField(models.CharField(max_length=60), default=list)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"Limits of {self.group}"

    @property
    def scope(self) -> Scope:
        return Scope(frozenset(self.organizations) or None, frozenset(self.record_sources) or None)


class SavedFilter(models.Model):
    """A list as somebody wants to see it again: the address of its page, and what is asked there."""

    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="saved_filters", db_index=False)
    page = models.CharField(max_length=200)
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=2_000)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["owner", "page", "name"], name="filter_name_per_page")]

    def __str__(self) -> str:
        return self.name

    @property
    def address(self) -> str:
        return f"{self.page}?{self.query}"


class Lease(models.Model):
    """Right to do something alone for a while. `fence` rises with each new holder, so an old holder can be told."""

    name = models.CharField(primary_key=True, max_length=50)
    holder = models.CharField(max_length=200)
    fence = models.BigIntegerField(default=0)
    expires_at = models.DateTimeField()
    beat_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.name} held by {self.holder}"


class AuditEntry(models.Model):
    """One act, append-only: a database trigger refuses UPDATE and DELETE.

    The database itself chains the rows as their transactions commit: `position` counts from 1 without a gap, and
    `hash` is made of the whole row and of the hash at the position before (`opsconsole/auditing/chain.py`).
    `before` and `after` are of what a change replaced; `elevation` is how the person had confirmed who they are.
    """

    at = models.DateTimeField(db_default=Now())
    actor = models.CharField(max_length=150)
    actor_user = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    token = models.ForeignKey(ApiToken, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    door = models.CharField(max_length=10)
    address = models.CharField(max_length=64, blank=True)
    action = models.CharField(max_length=60)
    subject = models.CharField(max_length=200)
    reason = models.TextField(blank=True)
    trace_id = models.UUIDField(null=True)
    details = models.JSONField(default=dict)
    elevation = models.CharField(max_length=20, blank=True)
    ticket = models.CharField(max_length=100, blank=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    position = models.BigIntegerField(null=True, unique=True)
    previous_hash = models.CharField(max_length=64, blank=True)
    hash = models.CharField(max_length=64, blank=True)

    objects = ScopedManager["AuditEntry"]()

    class Meta:
        default_permissions = ("view",)
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["subject", "-id"], name="audit_subject"),
            models.Index(fields=["trace_id"], name="audit_trace"),
            models.Index(fields=["actor", "-id"], name="audit_actor"),
            models.Index(fields=["action", "-id"], name="audit_action"),
            models.Index(fields=["ticket", "-id"], name="audit_ticket", condition=~models.Q(ticket="")),
        ]

    def __str__(self) -> str:
        return f"{self.actor}: {self.action} {self.subject}"

    @staticmethod
    def narrowed(rows: models.QuerySet[AuditEntry], scope: Scope) -> models.QuerySet[AuditEntry]:
        """Whoever is limited reads what they did themselves: what others did may name anything."""
        return rows.none() if scope.person is None else rows.filter(actor_user=scope.person)


class AuditAnchor(models.Model):
    """Where the chain was cut off: the last entry that was removed, with its hash, so that the rest stays checkable.

    Entries at or before an anchor may be deleted; the trigger refuses all others. Anchors cannot be changed."""

    position = models.BigIntegerField(unique=True)
    hash = models.CharField(max_length=64)
    made_at = models.DateTimeField(db_default=Now())
    made_by = models.CharField(max_length=150)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"Audit log up to {self.position}, cut off by {self.made_by}"


class PruneCount(models.Model):
    """How many rows of one sort were cleared away since that was last written onto the audit log."""

    what = models.CharField(primary_key=True, max_length=60)
    rows = models.BigIntegerField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.rows} {self.what}"


class RestoreHold(models.Model):
    """The database was restored, and nobody has looked yet: messages and disablings wait. One row at most."""

    one = models.BooleanField(primary_key=True, default=True)
    made_at = models.DateTimeField(db_default=Now())
    made_by = models.CharField(max_length=150)
    reason = models.TextField()
    lost_since = models.DateTimeField()
    lost_until = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [models.CheckConstraint(condition=models.Q(one=True), name="one_hold_at_most")]

    def __str__(self) -> str:
        return f"Held since {self.made_at:%Y-%m-%d %H:%M}"


VIEW_AUDIT = permission("opsconsole.view_auditentry", Role.VIEWER)
