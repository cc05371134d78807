"""Cutting off the old end of the audit log, with an anchor that keeps the rest checkable."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction

from opsconsole import audit
from opsconsole.auditing import chain
from opsconsole.errors import UsageError
from opsconsole.models import AuditAnchor, AuditEntry

SHORTEST_DAYS = 30  # the database refuses less, too
ROWS_AT_ONCE = 10_000
DELETE_SQL = """
    DELETE FROM opsconsole_auditentry WHERE position <= %s AND position IN (
        SELECT position FROM opsconsole_auditentry ORDER BY position LIMIT %s)
"""


@dataclass(frozen=True, slots=True)
class Cut:
    """`entries` were removed, up to `head`; None where nothing was old enough."""

    entries: int
    head: chain.Head | None


def cut(keep_days: int, actor: audit.Actor, reason: str, now: datetime) -> Cut:
    """Remove entries older than so many days, oldest first. Raises UsageError.

    The chain is checked before, as nobody could tell afterwards. Anchor and audit row are committed first; the rows go
    in slices, and those that are left when it is killed go the next time.
    """
    if keep_days < SHORTEST_DAYS:
        raise UsageError(
            f"{keep_days} days cannot be used; the last {SHORTEST_DAYS} days of the audit log always stay."
        )
    if not reason.strip():
        raise UsageError("Say why (--reason): it is kept on the audit log.")
    verdict = chain.verify()
    if verdict.broken:
        raise UsageError(f"Nothing was removed, since the audit log is not whole. {verdict.broken}")
    last = _last_before(now - timedelta(days=keep_days))
    if last is not None:
        _drop_anchor(last, actor, reason)
    removed = _remove_anchored()
    return Cut(removed, last)


def _last_before(moment: datetime) -> chain.Head | None:
    """The entry before the first one that is young enough to stay; the newest entry of all stays in any case."""
    kept = AuditEntry.objects.filter(at__gte=moment, position__isnull=False).order_by("position").first()
    newest = kept or AuditEntry.objects.filter(position__isnull=False).order_by("-position").first()
    if newest is None or newest.position is None:
        return None
    before = AuditEntry.objects.filter(position__lt=newest.position).order_by("-position").first()
    return chain.Head(before.position or 0, before.hash) if before else None


def _drop_anchor(head: chain.Head, actor: audit.Actor, reason: str) -> None:
    with transaction.atomic():
        AuditAnchor.objects.create(position=head.position, hash=head.hash, made_by=actor.name)
        audit.record(actor, "audit.cut_off", "audit", reason=reason, up_to=head.position, hash=head.hash)


def _remove_anchored() -> int:
    up_to, removed = chain.anchor().position, 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(DELETE_SQL, [up_to, ROWS_AT_ONCE])
            slice_size = int(cursor.rowcount)
        removed += slice_size
        if slice_size < ROWS_AT_ONCE:
            return removed
