"""When stuck records were made: a bar for each hour or day, so that one sees when it began."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitoring.records.guide import StatusKind
from monitoring.records.standing import Standing
from monitoring.records.stuck import DAY, HOUR, StuckCount, StuckQuestion, StuckRecords
from opsconsole.charts import BarChart, bar_chart
from opsconsole.times import Window
from opsconsole.words import number

MOST_HOURS = timedelta(days=3)  # of longer ones each bar is a day
MOST_BARS = 120


@dataclass(frozen=True, slots=True)
class Stretch:
    """An hour or a day with stuck records made in it."""

    start: datetime
    end: datetime
    count: int


@dataclass(frozen=True, slots=True)
class WhenMade:
    """`by_status` is in the order of the guide. `stretches` are those with records, the latest first."""

    total: int
    by_status: tuple[tuple[StatusKind, int], ...]
    stretches: tuple[Stretch, ...]
    oldest: datetime | None
    chart: BarChart | None
    window: Window
    each: str


def when_made(records: StuckRecords, standing: Standing, question: StuckQuestion) -> WhenMade:
    """One query to the source."""
    each = HOUR if question.made.end - question.made.start <= MOST_HOURS else DAY
    return summed_up(records.counts(question, each), standing, question.made, each)


def summed_up(counts: Sequence[StuckCount], standing: Standing, window: Window, each: str) -> WhenMade:
    """Pure."""
    length = timedelta(hours=1) if each == HOUR else timedelta(days=1)
    by_start: dict[datetime, int] = {}
    by_status: dict[str, int] = {}
    for one in counts:
        by_start[one.start] = by_start.get(one.start, 0) + one.count
        by_status[one.status] = by_status.get(one.status, 0) + one.count
    total = sum(by_start.values())
    return WhenMade(
        total=total,
        by_status=tuple(
            (standing.guide.kind(name), by_status[name]) for name in sorted(by_status, key=standing.guide.order)
        ),
        stretches=tuple(Stretch(start, start + length, by_start[start]) for start in sorted(by_start, reverse=True)),
        oldest=min((one.oldest for one in counts), default=None),
        chart=_chart(by_start, window, length, total) if total else None,
        window=window,
        each=each,
    )


def _chart(by_start: dict[datetime, int], window: Window, length: timedelta, total: int) -> BarChart:
    first = window.start.replace(minute=0, second=0, microsecond=0)
    if length > timedelta(hours=1):
        first = first.replace(hour=0)
    starts = [first + length * place for place in range((window.end - first) // length + 1)][-MOST_BARS:]
    most = max(by_start, key=by_start.__getitem__)
    label = f"{number(total)} stuck by when they were made: most, {number(by_start[most])}, from {most:%d %b %H:%M} UTC"
    return bar_chart(
        label, [(f"{start:%d %b %H:%M} UTC: {by_start.get(start, 0):,}", by_start.get(start, 0)) for start in starts]
    )
