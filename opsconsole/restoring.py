"""The console's database was restored from a backup: what it does not know any more, and what waits for a person.

Between the backup's last moment and the end of the processes lies a time of which nothing is left here, while its
messages, calls and disablings have happened. Each part says what it does about that. Nothing then leaves by itself, to
people or to systems of tracked tasks, until somebody has looked and releases it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from opsconsole import audit
from opsconsole.clock.beat import last_beat
from opsconsole.errors import UsageError
from opsconsole.health import health_check
from opsconsole.models import AuditEntry, Lease, RestoreHold
from opsconsole.words import utc

FENCES = 1_000
"""More claims of one job than the lost time can have had: what its processes still write then finds no row."""

NUMBERS = 100_000
"""More rows of one table than somebody outside can have heard of: keys of messages and calls are made of numbers, and
a number that came twice would be taken for a repetition."""

SKIP_NUMBERS = """
    SELECT setval(format('%%I.%%I', schemaname, sequencename)::regclass, coalesce(last_value, 0) + %s)
    FROM pg_sequences WHERE schemaname = current_schema()
"""


class Release(StrEnum):
    """Which of the messages that wait leave when the hold is over."""

    NEW = "new"
    """Those written since the restore: what was due before that has most likely been sent."""
    ALL = "all"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Lost:
    """The time of which nothing is known: from the last sign in the backup until the processes ended."""

    since: datetime
    until: datetime

    def __str__(self) -> str:
        return f"{utc(self.since)} to {utc(self.until)} UTC"


OnRestore = Callable[[Lost, datetime], list[str]]
OnRelease = Callable[[Lost, Release, datetime], list[str]]
_on_restore: list[OnRestore] = []
_on_release: list[OnRelease] = []


def on_restore(act: OnRestore) -> OnRestore:
    """Declares what a part does after a restore. It says what it found and did, in sentences."""
    _on_restore.append(act)
    return act


def on_release(act: OnRelease) -> OnRelease:
    """Declares what a part does when the hold is over."""
    _on_release.append(act)
    return act


def is_held() -> bool:
    """Whether nothing is to leave by itself. One query."""
    return RestoreHold.objects.exists()


@health_check("after_restore")
def nothing_is_held(now: datetime) -> bool:
    return not is_held()


def last_sign() -> datetime | None:
    """The newest moment that this database knows of: a clock's beat, or an act. Two queries."""
    newest = AuditEntry.objects.order_by("-pk").values_list("at", flat=True).first()
    return max(filter(None, (last_beat(), newest)), default=None)


def after_restore(actor: audit.Actor, reason: str, now: datetime, until: datetime | None = None) -> list[str]:
    """Settle what the restored database says is under way, and hold what would leave. Returns what was found and done.

    All of it or nothing: one transaction. `until` is when the processes ended; now where nobody knows. Raises
    UsageError where a clock runs, where it was done already, or where `until` cannot be.
    """
    with transaction.atomic():
        _require_stopped()
        lost = _lost(now, until)
        said = [f"Nothing is known of {lost}.", *_own_part()]
        for act in _on_restore:
            said += act(lost, now)
        RestoreHold.objects.create(made_by=actor.name, reason=reason, lost_since=lost.since, lost_until=lost.until)
        audit.record(actor, "console.restored", "console", reason=reason, lost=str(lost), found=said)
    return said


def _require_stopped() -> None:
    if (hold := RestoreHold.objects.select_for_update().first()) is not None:
        raise UsageError(
            f"This was done at {utc(hold.made_at)} UTC by {hold.made_by}. Look at the outbox, then --release."
        )
    if Lease.objects.filter(expires_at__gt=Now()).exists():
        raise UsageError("A clock is running. Stop clocks, workers and web processes first, and wait 15 seconds.")


def _lost(now: datetime, until: datetime | None) -> Lost:
    since = last_sign() or now
    until = until or now
    if not since <= until <= now:
        allowed = f"from {utc(since)}, the last sign in this database, to now"
        raise UsageError(f"--lost-until {utc(until)} cannot be; allowed is {allowed}.")
    return Lost(since, until)


def _own_part() -> list[str]:
    """Numbers, leases and sessions. Who was shut out in the lost time must not come in by a session of before."""
    from django.contrib.sessions.models import Session  # noqa: PLC0415  (when Django has loaded all apps)

    with connection.cursor() as cursor:
        cursor.execute(SKIP_NUMBERS, [NUMBERS])
    Lease.objects.update(fence=F("fence") + FENCES)
    Session.objects.all().delete()
    return [
        f"Numbers go on {NUMBERS:,} later, so that none comes twice.",
        "Everybody has to log in again.",
        "Passwords, factors, groups and API tokens are those of the backup: look at what was revoked since.",
    ]


def release(actor: audit.Actor, reason: str, which: Release, now: datetime) -> list[str]:
    """A person has looked: what was held may leave. Returns what was done. Raises UsageError where nothing is held."""
    with transaction.atomic():
        hold = RestoreHold.objects.select_for_update().first()
        if hold is None:
            raise UsageError("Nothing is held: after_restore was not run, or was released already.")
        lost = Lost(hold.lost_since, hold.lost_until)
        said = [sentence for act in _on_release for sentence in act(lost, which, now)]
        hold.delete()
        audit.record(actor, "console.released", "console", reason=reason, messages=which.value, done=said)
    return said
