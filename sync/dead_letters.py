"""Dead letters: jobs that were given up. The reasons they have, the same ones together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max, Subquery

from sync.models import Job
from sync.models.states import PROBLEM_STATES

MOST_LOOKED_AT = 10_000
MOST_SHOWN = 50
SENTENCE_LENGTH = 500


@dataclass(frozen=True, slots=True)
class DeadGroup:
    """Jobs given up for the same reason, but for ids and numbers in it; `sentence` is that of the newest of them."""

    fingerprint: str
    sentence: str
    error_type: str
    jobs: int
    latest_job: int
    last_ended: datetime | None


def dead_groups() -> list[DeadGroup]:
    """The 50 largest groups of the newest 10,000 dead letters. Two queries whose cost is bounded."""
    newest = Job.objects.filter(state__in=PROBLEM_STATES).order_by("-pk").values("pk")[:MOST_LOOKED_AT]
    found = (
        Job.objects.filter(pk__in=Subquery(newest))
        .values("error_fingerprint")
        .annotate(jobs=Count("pk"), latest=Max("pk"), ended=Max("ended_at"))
        .order_by("-jobs", "-latest")[:MOST_SHOWN]
    )
    rows = list(found)
    latest = Job.objects.only("error", "error_type").in_bulk([row["latest"] for row in rows])
    return [
        DeadGroup(
            fingerprint=row["error_fingerprint"],
            sentence=latest[row["latest"]].error[:SENTENCE_LENGTH],
            error_type=latest[row["latest"]].error_type,
            jobs=row["jobs"],
            latest_job=row["latest"],
            last_ended=row["ended"],
        )
        for row in rows
        if row["latest"] in latest
    ]
