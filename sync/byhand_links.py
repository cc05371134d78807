"""Where a job's page sends those who would rather sync a window: the page by hand, filled in."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.urls import NoReverseMatch, reverse

from opsconsole import words
from sync.models import Job, JobKind

ROUTE = "sync:by_hand"
WINDOW_BEFORE = timedelta(days=1)


def window_for(job: Job) -> tuple[datetime, datetime]:
    """The job's own window, or its batch's, or the day before the job was made."""
    for one in (job, job.batch):
        if one is not None and one.window_from and one.window_to:
            return one.window_from, one.window_to
    end = job.created_at.replace(microsecond=0) + timedelta(seconds=1)
    return end - WINDOW_BEFORE, end


def by_hand_address(job: Job) -> str:
    """The page with organization and window filled in; empty for a job of tasks, or where there is no such page."""
    if job.kind == JobKind.TASKS:
        return ""
    try:
        address = reverse(ROUTE)
    except NoReverseMatch:
        return ""
    start, end = window_for(job)
    return (
        f"{address}?{urlencode({'organization': job.organization_id, 'from': words.utc(start), 'to': words.utc(end)})}"
    )
