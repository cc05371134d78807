"""Keeping the counts as they were: one snapshot of each source every few minutes, thinned as they grow old."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from time import perf_counter

from django.db import connection
from django.db.models import Max, QuerySet

from monitoring.records.ages import Ages
from monitoring.records.models import Snapshot
from monitoring.records.query import RecordTable
from monitoring.records.standing import Standing, record_sources, standing_of
from monitoring.records.stuck import StuckRecords
from opsconsole.errors import ConsoleError
from opsconsole.estate.model import RecordSource
from opsconsole.times import Window

logger = logging.getLogger(__name__)

LONGEST = 10.0  # seconds for one statement: the clock has other duties, and a lease to renew
LONGEST_GAP = timedelta(hours=1)  # over a longer one nobody can tell who aged when
WHOLE = timedelta(days=7)
ROWS_PER_STEP = 2_000

THIN = f"""
    DELETE FROM {Snapshot._meta.db_table} WHERE id IN (
        SELECT id FROM (
            SELECT id, row_number() OVER (
                PARTITION BY source, date_trunc('hour', taken_at) ORDER BY error <> '', taken_at
            ) AS place
            FROM {Snapshot._meta.db_table} WHERE taken_at < %(whole)s
        ) AS old
        WHERE place > 1 LIMIT %(rows)s
    )
"""  # noqa: S608  (the name is the model's own)


def take_due(now: datetime) -> bool:
    """Take one snapshot that is due, of the source that has waited longest. False where none is."""
    source = _due(now)
    if source is not None:
        take(source, now)
    return source is not None


def one_is_due(now: datetime) -> bool:
    """One query, none where the estate has no record source."""
    return _due(now) is not None


def _due(now: datetime) -> RecordSource | None:
    sources = record_sources()
    return due_source(sources, newest_buckets(), now) if sources else None


def newest_buckets() -> dict[str, datetime]:
    """The newest snapshot's bucket of each source. One query."""
    rows = Snapshot.objects.order_by().values_list("source").annotate(newest=Max("bucket"))
    return dict(rows)


def due_source(sources: Sequence[RecordSource], newest: Mapping[str, datetime], now: datetime) -> RecordSource | None:
    """The source that has had no snapshot in its present bucket and whose last one is longest ago."""
    never = datetime.min.replace(tzinfo=UTC)
    due = [one for one in sources if newest.get(one.name, never) < bucket_of(now, one.snapshot_every)]
    return min(due, key=lambda one: newest.get(one.name, never), default=None)


def bucket_of(moment: datetime, every: float) -> datetime:
    """`moment` rounded down to a multiple of `every` seconds."""
    return datetime.fromtimestamp(moment.timestamp() // every * every, UTC)


def take(source: RecordSource, now: datetime) -> Snapshot:
    """Count and keep the counts; what could not be counted is kept as an error. Another clock's snapshot stands."""
    standing = standing_of(source)
    ages = standing.ages
    snapshot = _empty(standing, now)
    began = perf_counter()
    try:
        with RecordTable(source, LONGEST) as table:
            snapshot.counts = table.counts(ages.window(now))
            snapshot.aged = _aged(table, ages, now)
            _note_stuck(snapshot, table, standing, now)
    except ConsoleError as error:
        snapshot.error = str(error)
    snapshot.seconds = perf_counter() - began
    Snapshot.objects.bulk_create([snapshot], ignore_conflicts=True)
    return snapshot


def stuck_now(table: RecordTable, standing: Standing, now: datetime) -> Snapshot:
    """What is stuck at this moment, as a snapshot that is not kept: of those records that whoever asks may see."""
    snapshot = _empty(standing, now)
    _note_stuck(snapshot, table, standing, now)
    return snapshot


def _empty(standing: Standing, now: datetime) -> Snapshot:
    return Snapshot(
        source=standing.source.name,
        bucket=bucket_of(now, standing.source.snapshot_every),
        taken_at=now,
        seconds=0.0,
        older_than=timedelta(seconds=standing.ages.older),
        younger_than=timedelta(seconds=standing.ages.younger),
    )


def _aged(table: RecordTable, ages: Ages, now: datetime) -> dict[str, int]:
    """Records that have left the window by their age since the last snapshot of the same window."""
    before = last_good(table.source.name, ages)
    if before is None or now - before.taken_at > LONGEST_GAP or before.taken_at >= now:
        return {}
    younger = timedelta(seconds=ages.younger)
    return table.counts(Window(before.taken_at - younger, now - younger))


def _note_stuck(snapshot: Snapshot, table: RecordTable, standing: Standing, now: datetime) -> None:
    """It looks further back than the breakdown and may take too long where that does not; the counts still hold."""
    counts: dict[str, int] = {}
    try:
        found = StuckRecords(table).counts(standing.stuck(now))
    except ConsoleError as error:
        logger.warning("stuck %s were not counted: %s", standing.source.name, error)
        return
    for one in found:
        counts[one.status] = counts.get(one.status, 0) + one.count
        snapshot.oldest_stuck = min(one.oldest, snapshot.oldest_stuck or one.oldest)
    snapshot.stuck = counts


def last_good(source: str, ages: Ages) -> Snapshot | None:
    """The newest snapshot of this window that could be taken. One query."""
    return good(source, ages).order_by("-taken_at").first()


def good(source: str, ages: Ages) -> QuerySet[Snapshot]:
    """The snapshots of this window that could be taken."""
    return Snapshot.objects.filter(
        source=source,
        error="",
        older_than=timedelta(seconds=ages.older),
        younger_than=timedelta(seconds=ages.younger),
    )


def thin(now: datetime) -> int:
    """Of snapshots of more than 7 days keep one for each hour. Drops at most 2,000 rows; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(THIN, {"whole": now - WHOLE, "rows": ROWS_PER_STEP})
        return int(cursor.rowcount)
