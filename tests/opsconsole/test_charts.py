"""Charts: everything stays in its box, gaps break the line, and no more is drawn than the eye can see."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from opsconsole.charts import HEIGHT, MOST_POINTS, WIDTH, LineChart, Sample, bar_chart, line_chart

START = datetime(2026, 3, 1, tzinfo=UTC)
END = START + timedelta(hours=6)
GAP = timedelta(minutes=10)


def samples_at(minutes: list[int], values: list[float | None]) -> list[Sample]:
    return [Sample(START + timedelta(minutes=minute), value) for minute, value in zip(minutes, values, strict=True)]


def points(chart: LineChart) -> list[tuple[float, float]]:
    written = [tuple(map(float, point.split(","))) for line in chart.lines for point in line.split()]
    return [(x, y) for x, y in written] + list(chart.dots)


@given(
    st.lists(st.tuples(st.integers(-60, 500), st.none() | st.integers(0, 10**9)), max_size=600),
    st.none() | st.integers(0, 10**9),
)
def test_everything_stays_in_the_box(given: list[tuple[int, int | None]], limit: int | None) -> None:
    samples = [
        Sample(START + timedelta(minutes=minute), value) for minute, value in sorted(given, key=lambda one: one[0])
    ]
    chart = line_chart("x", samples, START, END, gap=GAP, limit=limit)
    drawn = points(chart)
    assert len(drawn) <= MOST_POINTS
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in drawn)
    assert chart.level is None or 0 <= chart.level <= HEIGHT


def test_the_line_goes_from_corner_to_corner() -> None:
    chart = line_chart("x", samples_at([0, 180, 360], [0, 50, 100]), START, END, gap=timedelta(hours=4), limit=25)
    assert chart.lines == ("0,100 300,50 600,0",)
    assert (chart.top, chart.level, chart.dots) == (100, 75.0, ())


def test_gaps_break_the_line() -> None:
    values: list[float | None] = [1, 2, None, 3, 4, 5]
    chart = line_chart("x", samples_at([0, 5, 10, 15, 60, 65], values), START, END, gap=GAP)
    assert [len(line.split()) for line in chart.lines] == [2, 2]
    assert len(chart.dots) == 1


def test_a_long_past_is_thinned_without_becoming_dots() -> None:
    minutes = list(range(361))
    chart = line_chart(
        "x", samples_at(minutes, [float(minute) for minute in minutes]), START, END, gap=timedelta(minutes=1)
    )
    assert len(chart.lines) == 1
    assert chart.lines[0].split()[-1] == "600,0"


def test_nothing_known_is_an_empty_chart() -> None:
    chart = line_chart("x", [], START, END, gap=GAP)
    assert (chart.lines, chart.dots, chart.top) == ((), (), 1)


@given(st.lists(st.integers(0, 10**6), max_size=100))
def test_bars_stand_on_the_ground_inside_the_box(values: list[int]) -> None:
    chart = bar_chart("x", [(str(value), value) for value in values])
    assert len(chart.bars) == len(values)
    for bar in chart.bars:
        assert 0 <= bar.x <= bar.x + bar.width <= WIDTH + 0.1
        assert bar.y + bar.height <= HEIGHT + 0.1
