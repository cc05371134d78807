"""The charts of a source's snapshots, one for each status, and the table behind them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitoring.records.guide import StatusKind
from monitoring.records.history import DAY, MOST_STRETCHES, Past, points_of, samples_of
from monitoring.records.standing import Standing
from monitoring.records.trend import Trend, sentence, trend_of
from opsconsole.charts import LineChart, Sample, line_chart, thinned

MOST_CHARTS = 24
SHORTEST = timedelta(minutes=30)
MOST_TABLE_ROWS = 25
WHOLE = timedelta(days=7)
BREAK = 2.5  # intervals without a snapshot: the line breaks


@dataclass(frozen=True, slots=True)
class Chart:
    kind: StatusKind
    said: str
    line: LineChart
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class ChartTable:
    """`rows` are moments, newest first, with a count for each of `kinds`; None where nobody counted."""

    kinds: tuple[StatusKind, ...]
    rows: tuple[tuple[datetime, tuple[int | None, ...]], ...]


def charts_of(
    standing: Standing,
    past: Past,
    trends: Mapping[str, Trend],
    start: datetime,
    end: datetime,
    *,
    everything: bool,
) -> list[Chart]:
    """A chart for each status that had a record since `start`, in the order of the guide. `trends` are those that the
    page has told already, from the counts of now."""
    shown = [one for one in past.long if one.at >= start]
    if shown:  # a console that is young has no use for an empty half of the picture
        start = max(start, min(shown[0].at, end - SHORTEST))
    found = {status for one in shown for status, count in one.counts.items() if count}
    kinds = sorted((standing.guide.kind(status) for status in found), key=lambda kind: (kind.place, kind.status))
    wanted = [kind for kind in kinds if everything or not kind.hidden][:MOST_CHARTS]
    return [_chart(kind, standing, past, trends.get(kind.status), start, end) for kind in wanted]


def _chart(
    kind: StatusKind, standing: Standing, past: Past, trend: Trend | None, start: datetime, end: datetime
) -> Chart:
    said = sentence(kind.label, trend or trend_of(points_of(kind.status, past)), end)
    samples = [one for one in samples_of(kind.status, past.long) if one.at >= start]
    every = max(standing.source.snapshot_every, max(end - start, DAY).total_seconds() / MOST_STRETCHES)
    if end - start > WHOLE:
        every = max(every, 3_600.0)  # of older ones, one for each hour is kept
    line = line_chart(said, samples, start, end, gap=timedelta(seconds=every * BREAK))
    return Chart(kind, said, line, tuple(thinned(samples, start, end, MOST_TABLE_ROWS)))


def chart_table(charts: Sequence[Chart]) -> ChartTable | None:
    """The figures behind the charts, at most 25 moments of them. None where there is no chart."""
    if not charts:
        return None
    # All charts are of the same snapshots, so their samples stand side by side.
    columns = [chart.samples for chart in charts]
    rows = [
        (side_by_side[0].at, tuple(None if one.value is None else int(one.value) for one in side_by_side))
        for side_by_side in zip(*columns, strict=True)
    ]
    return ChartTable(tuple(chart.kind for chart in charts), tuple(rows[::-1]))
