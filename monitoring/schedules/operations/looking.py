"""The detector: one round of looking at runs and monitors, and what is known of this console's own downtimes."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import connection, transaction

from monitoring.schedules.models import Looked
from monitoring.schedules.operations import overdue, watching

logger = logging.getLogger(__name__)

OWN_GAP = timedelta(seconds=60)
"""A beat that comes later than this after the one before it was a downtime of our own."""

DETECTOR = "detector"
ANYTHING = """
WITH beat AS (UPDATE schedules_looked SET at = %(now)s WHERE name = %(name)s AND at >= %(since)s RETURNING name)
SELECT EXISTS (SELECT FROM beat),
    EXISTS (SELECT FROM schedules_ping WHERE NOT folded)
       OR EXISTS (SELECT FROM schedules_monitor WHERE limited_at IS NOT NULL),
    EXISTS (SELECT FROM schedules_monitor WHERE deadline <= %(now)s),
    EXISTS (SELECT FROM schedules_run WHERE state IN ('waiting', 'queued') AND start_by <= %(now)s)
       OR EXISTS (SELECT FROM schedules_run WHERE state = 'running' AND trouble = '' AND end_by <= %(now)s)
"""


def look(now: datetime) -> None:
    """One round: our own gap first, then what came, then what did not come. One statement where there is nothing."""
    beating, pings, silence, runs = _beat_and_ask(now)
    if not beating:  # deadlines move
        beat(now)
        _, pings, silence, runs = _beat_and_ask(now)
    if pings:
        watching.fold_pings()
    if pings or silence:
        watching.notice_silence(now)
    if runs:
        overdue.notice_overdue(now)


def _beat_and_ask(now: datetime) -> tuple[bool, bool, bool, bool]:
    """Leave the detector's sign, unless the one before is a gap ago; whether that was done, and whether there are pings
    to fold, monitors past their deadline, runs past theirs. One statement, by indexes."""
    with connection.cursor() as cursor:
        cursor.execute(ANYTHING, {"now": now, "name": DETECTOR, "since": now - OWN_GAP})
        beating, pings, silence, runs = cursor.fetchone()
    return beating, pings, silence, runs


def beat(now: datetime) -> timedelta | None:
    """Leave the detector's sign. Returns how long it was missing where that was a downtime of our own.

    The deadlines that fell into it move by it, in the same transaction: killed anywhere, they move once.
    """
    if Looked.objects.filter(name=DETECTOR, at__gte=now - OWN_GAP).update(at=now):
        return None
    Looked.objects.bulk_create([Looked(name=DETECTOR, at=now)], ignore_conflicts=True)
    with transaction.atomic():
        before = Looked.objects.select_for_update().get(name=DETECTOR)
        gap = now - before.at
        if gap <= OWN_GAP:
            return None
        moved = watching.move_deadlines(before.at, gap) + overdue.move_deadlines(before.at, gap)
        Looked.objects.filter(pk=before.pk).update(at=now, gap_from=before.at, gap_until=now)
    logger.warning("nobody looked for %s, from %s UTC on; %d deadlines move by it", gap, f"{before.at:%F %T}", moved)
    return gap


def was_own_downtime(moment: datetime, now: datetime) -> bool:
    """Whether this console was down at `moment`: in its last downtime, or in one that is not over yet. One query."""
    looked = Looked.objects.filter(name=DETECTOR).first()
    if looked is None:
        return False
    if now - looked.at > OWN_GAP:
        return looked.at <= moment
    return looked.gap_from is not None and looked.gap_until is not None and looked.gap_from <= moment < looked.gap_until
