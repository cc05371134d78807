"""A source's snapshots, read for trends and charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Max, QuerySet
from django.db.models.functions import Extract, Floor

from monitoring.records.ages import Ages
from monitoring.records.models import Snapshot
from monitoring.records.trend import RECENT, Point
from opsconsole.charts import Sample

HOUR_AGO = timedelta(hours=1)
NEAR = timedelta(minutes=10)
DAY = timedelta(days=1)
MOST_STRETCHES = 400


@dataclass(frozen=True, slots=True)
class Moment:
    """The counts at one moment; `failed` where there are none because the source did not answer."""

    at: datetime
    counts: Mapping[str, int]
    aged: Mapping[str, int]
    failed: bool


@dataclass(frozen=True, slots=True)
class Past:
    """`recent` is every snapshot of the last hour; `day` and `long` have one for each stretch of the last day and of
    all the time that is shown."""

    recent: Sequence[Moment]
    day: Sequence[Moment]
    long: Sequence[Moment]

    def __bool__(self) -> bool:
        return bool(self.recent or self.day or self.long)


NOTHING_KNOWN = Past((), (), ())


def past_of(source: str, ages: Ages, now: datetime, reach: timedelta) -> Past:
    """Two or three queries, of some 400 rows each, however often snapshots are taken."""
    recent = _moments(_snapshots(source, ages, now - RECENT).order_by("taken_at"))
    day = _spread(source, ages, now, DAY)
    return Past(recent, day, day if reach <= DAY else _spread(source, ages, now, reach))


def _spread(source: str, ages: Ages, now: datetime, reach: timedelta) -> list[Moment]:
    """The last snapshot of each of 400 equal stretches of time."""
    stretch = Floor(Extract("taken_at", "epoch") / (reach / MOST_STRETCHES).total_seconds())
    stretches = _snapshots(source, ages, now - reach).order_by().values(stretch=stretch)
    newest = stretches.annotate(newest=Max("pk")).values("newest")
    return _moments(Snapshot.objects.filter(pk__in=newest).order_by("taken_at"))


def _snapshots(source: str, ages: Ages, since: datetime) -> QuerySet[Snapshot]:
    return Snapshot.objects.filter(
        source=source,
        taken_at__gte=since,
        older_than=timedelta(seconds=ages.older),
        younger_than=timedelta(seconds=ages.younger),
    )


def _moments(rows: QuerySet[Snapshot]) -> list[Moment]:
    values = rows.values_list("taken_at", "counts", "aged", "error")
    return [Moment(at, counts, aged, bool(error)) for at, counts, aged, error in values]


def points_of(status: str, past: Past) -> list[Point]:
    """What the trend of one status is told from: the stretches up to the last hour, then every snapshot."""
    begins = past.recent[0].at if past.recent else None
    sooner = [one for one in past.day if begins is None or one.at < begins]
    return [
        Point(one.at, one.counts.get(status, 0), one.aged.get(status, 0))
        for one in (*sooner, *past.recent)
        if not one.failed
    ]


def samples_of(status: str, past: Sequence[Moment]) -> list[Sample]:
    """What the chart of one status is drawn from."""
    return [Sample(one.at, None if one.failed else one.counts.get(status, 0)) for one in past]


def an_hour_ago(past: Past, now: datetime) -> Moment | None:
    """The snapshot nearest to an hour ago, within ten minutes of it."""
    wanted = now - HOUR_AGO
    near = [one for one in (*past.day, *past.recent) if not one.failed and abs(one.at - wanted) <= NEAR]
    return min(near, key=lambda one: abs(one.at - wanted), default=None)
