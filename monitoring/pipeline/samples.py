"""Figures over time, in one bounded table: every sample for six hours, one for each five minutes for thirty days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection

from monitoring.pipeline.models import Sample
from opsconsole import charts

EVERY = timedelta(seconds=15)
WHOLE_FOR = timedelta(hours=6)
THINNED_TO = timedelta(minutes=5)
KEPT_FOR = timedelta(days=30)
GAP = timedelta(minutes=11)
"""Samples further apart than this leave a hole in a chart. Longer than two thinned ones are apart."""

THIN = """
DELETE FROM pipeline_sample USING (
    SELECT id, row_number() OVER (
        PARTITION BY subject, date_bin(%(step)s * interval '1 second', at, 'epoch') ORDER BY at, id
    ) AS place
    FROM pipeline_sample WHERE at < %(whole)s
) AS old WHERE pipeline_sample.id = old.id AND old.place > 1
"""


def keep(subject: str, at: datetime, figures: Mapping[str, Any]) -> None:
    """Write one sample; a second one of the same moment is left out."""
    keep_all({subject: figures}, at)


def keep_all(by_subject: Mapping[str, Mapping[str, Any]], at: datetime) -> None:
    """A sample of each subject, in one statement."""
    rows = [Sample(subject=subject, at=at, figures=dict(figures)) for subject, figures in by_subject.items()]
    Sample.objects.bulk_create(rows, ignore_conflicts=True)


def latest(subject: str) -> Sample | None:
    return Sample.objects.filter(subject=subject).order_by("-at").first()


class Kept(NamedTuple):
    """A sample as it is read: live pages read more than a thousand each time, and a model's instance takes several
    times as long to make."""

    at: datetime
    figures: Mapping[str, Any]


def since(start: datetime, *subjects: str) -> dict[str, list[Kept]]:
    """The samples of these subjects from `start` on, in order of time. One query, bounded by how samples are kept."""
    found: dict[str, list[Kept]] = {subject: [] for subject in subjects}
    rows = Sample.objects.filter(subject__in=subjects, at__gte=start).order_by("subject", "at")
    for subject, at, figures in rows.values_list("subject", "at", "figures"):
        found[subject].append(Kept(at, figures))
    return found


def points(samples: Sequence[Kept], figure: str) -> list[charts.Sample]:
    return [charts.Sample(sample.at, sample.figures.get(figure)) for sample in samples]


def thin(now: datetime) -> int:
    """Drop what is no longer kept. Returns how many."""
    dropped, _ = Sample.objects.filter(at__lt=now - KEPT_FOR).delete()
    with connection.cursor() as cursor:
        cursor.execute(THIN, {"step": THINNED_TO.total_seconds(), "whole": now - WHOLE_FOR})
        return dropped + int(cursor.rowcount)
