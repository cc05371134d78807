"""The errors that jobs have now, the same ones together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from opsconsole import scope
from opsconsole.keyset import CappedCount
from sync.models import Job

MOST_LOOKED_AT = 1_000
MOST_SHOWN = 50
MOST_COUNTED = 1_000
SENTENCE_LENGTH = 500

# A fingerprint at a time: the index gives the first, then the next one after it, whatever the number of jobs of each.
# `own` is the condition on a job of whoever is limited, empty for all others.
_QUERY = f"""
WITH RECURSIVE kinds AS (
  (SELECT error_fingerprint AS kind, id FROM {Job._meta.db_table}
   WHERE error_fingerprint <> '' {{own}} ORDER BY error_fingerprint, id DESC LIMIT 1)
  UNION ALL
  SELECT following.error_fingerprint, following.id FROM kinds CROSS JOIN LATERAL (
    SELECT error_fingerprint, id FROM {Job._meta.db_table}
    WHERE error_fingerprint > kinds.kind AND error_fingerprint <> '' {{own}}
    ORDER BY error_fingerprint, id DESC LIMIT 1
  ) following
),
latest AS (
  SELECT kind, id FROM (SELECT kind, id FROM kinds LIMIT {MOST_LOOKED_AT}) known ORDER BY id DESC LIMIT {MOST_SHOWN} + 1
)
SELECT latest.kind, left(job.error, {SENTENCE_LENGTH}), job.error_type, latest.id, counted.jobs, counted.seen
FROM latest JOIN {Job._meta.db_table} job ON job.id = latest.id CROSS JOIN LATERAL (
  SELECT count(*) AS jobs, max(seen) AS seen FROM (
    SELECT coalesce(ended_at, started_at, created_at) AS seen FROM {Job._meta.db_table}
    WHERE error_fingerprint = latest.kind AND error_fingerprint <> '' {{own}}
    ORDER BY id DESC LIMIT {MOST_COUNTED} + 1
  ) newest
) counted
ORDER BY counted.seen DESC, latest.id DESC
"""  # noqa: S608  (the names are the model's own)


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Jobs whose last error is the same but for ids, numbers, quoted values and addresses.

    `sentence` is that of the newest of them, cut at 500 characters; `last_seen` when one of the newest 1,000 ended (or
    began, where it is to be tried again).
    """

    fingerprint: str
    sentence: str
    error_type: str
    latest_job: int
    jobs: CappedCount
    last_seen: datetime


def error_groups() -> tuple[list[ErrorGroup], bool]:
    """Up to 50 groups, the latest seen first, and whether there are more. One query whose cost is bounded."""
    organizations = scope.current().organizations
    with connection.cursor() as cursor:
        own = "" if organizations is None else "AND organization_id = ANY(%(own)s)"
        cursor.execute(_QUERY.format(own=own), {"own": sorted(organizations or ())})
        rows = cursor.fetchall()
    groups = [
        ErrorGroup(kind, sentence, error_type, number, CappedCount(min(jobs, MOST_COUNTED), jobs > MOST_COUNTED), seen)
        for kind, sentence, error_type, number, jobs, seen in rows
    ]
    return groups[:MOST_SHOWN], len(groups) > MOST_SHOWN
