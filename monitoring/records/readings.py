"""What the overview says of record statuses, from the clock's snapshots alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import F, Window
from django.db.models.functions import RowNumber
from django.urls import reverse

from monitoring.records.guide import Guide
from monitoring.records.models import Snapshot
from monitoring.records.standing import record_sources
from opsconsole.estate.model import RecordSource
from opsconsole.overview import Reading, overview_signal
from opsconsole.tones import Tone
from opsconsole.words import number, utc

LATE = 3  # intervals without a snapshot
RECENT = timedelta(days=2)
ORDER = 50


@overview_signal("records.stuck", "Stuck records", order=ORDER)
def stuck_records(now: datetime) -> Reading | None:
    """One query, over the newest snapshot of each source. None where the estate has no record source."""
    sources = record_sources()
    return reading_of(sources, newest_snapshots(now), now) if sources else None


def newest_snapshots(now: datetime) -> dict[str, Snapshot]:
    """The newest snapshot of each source within two days."""
    newest_first = Window(RowNumber(), partition_by=F("source"), order_by=F("taken_at").desc())
    rows = Snapshot.objects.filter(taken_at__gt=now - RECENT).annotate(place=newest_first).filter(place=1)
    return {row.source: row for row in rows}


def reading_of(sources: Sequence[RecordSource], newest: dict[str, Snapshot], now: datetime) -> Reading:
    """Pure. The source with the most stuck records is the one that the address leads to."""
    unknown = [reason for source in sources if (reason := _unknown(source, newest.get(source.name), now))]
    stuck = {
        source.name: sum((newest[source.name].stuck or {}).values()) for source in sources if source.name in newest
    }
    total = sum(stuck.values())
    worst = max(sources, key=lambda source: stuck.get(source.name, 0))
    parts = [_told(source, newest[source.name]) for source in sources if stuck.get(source.name)]
    if not parts and not unknown:
        parts = ["No record is in its status for longer than it should be."]
    part = "stuck" if total else "breakdown"
    return Reading(
        value=float(total) if len(unknown) < len(sources) else None,
        shown=number(total) if len(unknown) < len(sources) else "unknown",
        tone=Tone.PROBLEM if total else Tone.WAITING if unknown else Tone.FINE,
        sentence=" ".join([*parts, *unknown]),
        address=reverse(f"records:{part}", args=[worst.name]),
        limit="none",
        limit_value=0.0,
        action="What to do" if total else "",
        action_address=reverse("records:breakdown", args=[worst.name]) if total else "",
    )


def _told(source: RecordSource, snapshot: Snapshot) -> str:
    """`Uploads: 37 stuck in converting.`"""
    guide, counts = Guide(source), snapshot.stuck or {}
    each = [
        f"{number(counts[status])} stuck in {guide.kind(status).label}" for status in sorted(counts, key=guide.order)
    ]
    return f"{source.label}: {', '.join(each)}."


def _unknown(source: RecordSource, snapshot: Snapshot | None, now: datetime) -> str:
    """Why nothing is known of a source now; empty where it is."""
    if snapshot is None:
        return f"{source.label}: not counted yet."
    if now - snapshot.taken_at > timedelta(seconds=LATE * source.snapshot_every):
        return f"{source.label}: not counted since {utc(snapshot.taken_at)} UTC; look whether the clock runs."
    if snapshot.error:
        return f"{source.label} cannot be counted: {snapshot.error}"
    return f"{source.label}: stuck ones could not be counted in time." if snapshot.stuck is None else ""
