"""How long it usually takes to be past a status, told from where records are now."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from monitoring.records.guide import Guide
from monitoring.records.usual import FEWEST, STEPS, Step, percentile, usual_times
from opsconsole.estate.model import RecordSource, RecordStatus
from opsconsole.tones import Tone

GUIDE = Guide(
    RecordSource(
        "x",
        "X",
        "",
        "x",
        hidden=("gone",),
        statuses=(
            RecordStatus("new", "new"),
            RecordStatus("working", "working", Tone.WORKING),
            RecordStatus("gone", "gone", Tone.WAITING),
            RecordStatus("ok", "ok", Tone.FINE),
        ),
    )
)


def step_of(seconds: float) -> int:
    return math.floor(STEPS * math.log(seconds))


def test_a_status_is_told_from_all_later_ones() -> None:
    steps = [Step("working", step_of(120), 94), Step("ok", step_of(600), 96), Step("ok", step_of(90_000), 10)]
    usual = usual_times(steps, GUIDE)
    assert set(usual) == {"new", "working"}
    assert 600 <= usual["new"] <= 600 * 1.11
    # Of those past `working` more than one in twenty took a day.
    assert 90_000 <= usual["working"] <= 90_000 * 1.11


def test_few_records_and_unknown_statuses_say_nothing() -> None:
    assert usual_times([Step("ok", 50, FEWEST - 1), Step("nobody knows", 50, 10_000)], GUIDE) == {}


def test_what_takes_no_time_is_not_stuck_after_seconds() -> None:
    assert usual_times([Step("ok", 0, 1_000)], GUIDE)["new"] == 60


@given(st.lists(st.floats(1, 10**6), min_size=1, max_size=300), st.sampled_from([0.5, 0.95, 1.0]))
def test_the_percentile_is_right_to_a_step(seconds: list[float], share: float) -> None:
    counts: dict[int, int] = {}
    for one in seconds:
        counts[step_of(one)] = counts.get(step_of(one), 0) + 1
    exact = sorted(seconds)[math.ceil(share * len(seconds) - 1e-9) - 1]
    assert exact * 0.999 <= percentile(counts, share) <= exact * math.exp(1 / STEPS) * 1.001
