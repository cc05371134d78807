"""What becomes of due times after a downtime."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import takewhile

from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.schedules.catchup import ONE_BY_ONE, Decision, Fate, Plan, Policy, plan
from opsconsole.due import Every, parse_cron
from opsconsole.estate.model import CatchUp

NOW = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)
FIVE_MINUTES = Every(timedelta(minutes=5), datetime(2026, 1, 1, tzinfo=UTC))
TWO_HOURS = timedelta(hours=2)


def policy(catch_up: CatchUp = CatchUp.LATEST, *, critical: bool = True, window: timedelta = TWO_HOURS) -> Policy:
    return Policy(critical, catch_up, window)


def fates(made: Plan) -> Counter[Fate]:
    counted: Counter[Fate] = Counter()
    for decision in made.decisions:
        counted[decision.fate] += decision.count
    return counted


def test_a_beat_without_a_downtime_fires_what_is_due() -> None:
    made = plan(FIVE_MINUTES, NOW - timedelta(minutes=3), NOW, policy(CatchUp.SKIP, critical=False))
    assert made == Plan((Decision.one(NOW - timedelta(seconds=30), Fate.FIRED),), NOW - timedelta(seconds=30))


def test_nothing_due_leaves_the_watermark() -> None:
    since = NOW - timedelta(seconds=20)
    assert plan(FIVE_MINUTES, since, NOW, policy()) == Plan((), since)


def test_latest_after_two_hours_runs_one_and_records_the_older_ones_as_coalesced() -> None:
    later = NOW + timedelta(minutes=2)  # the newest is two and a half minutes late
    made = plan(FIVE_MINUTES, later - TWO_HOURS, later, policy())
    assert fates(made) == {Fate.COALESCED: 23, Fate.RECOVERED: 1}
    assert made.decisions[-1] == Decision.one(NOW - timedelta(seconds=30), Fate.RECOVERED)


def test_latest_needs_no_second_run_where_one_is_on_time() -> None:
    assert fates(plan(FIVE_MINUTES, NOW - TWO_HOURS, NOW, policy())) == {Fate.COALESCED: 23, Fate.FIRED: 1}


def test_skip_runs_none_of_the_old_ones() -> None:
    later = NOW + timedelta(minutes=2)
    assert fates(plan(FIVE_MINUTES, later - TWO_HOURS, later, policy(CatchUp.SKIP))) == {Fate.SKIPPED: 24}


def test_all_runs_a_hundred_and_counts_the_rest() -> None:
    made = plan(Every(timedelta(seconds=10), NOW), NOW - TWO_HOURS, NOW, policy(CatchUp.ALL))
    counted = fates(made)
    assert counted[Fate.RECOVERED] == ONE_BY_ONE
    assert counted[Fate.FIRED] == 7
    assert sum(counted.values()) == 720
    assert [decision.count for decision in made.decisions if decision.fate is Fate.SKIPPED] == [613]


def test_what_is_not_critical_has_missed_it() -> None:
    made = plan(parse_cron("0 6 * * *", "UTC"), NOW - timedelta(days=3), NOW, policy(critical=False))
    assert fates(made) == {Fate.MISSED: 3}
    assert made.watermark == datetime(2026, 11, 20, 6, tzinfo=UTC)


def test_beyond_the_recovery_window_even_a_critical_one_is_only_recorded() -> None:
    nightly = parse_cron("0 6 * * *", "UTC")
    assert fates(plan(nightly, NOW - timedelta(days=3), NOW, policy())) == {Fate.TOO_OLD: 3}
    assert fates(plan(nightly, NOW - timedelta(days=3), NOW, policy(window=timedelta(hours=8)))) == {
        Fate.TOO_OLD: 2,
        Fate.RECOVERED: 1,
    }


def test_a_year_of_seconds_is_counted_at_once() -> None:
    made = plan(Every(timedelta(seconds=1), NOW), NOW - timedelta(days=365), NOW, policy(CatchUp.ALL))
    assert sum(fates(made).values()) == 365 * 86_400
    assert len(made.decisions) < 400


def test_a_year_of_minutes_by_cron_says_that_there_are_more() -> None:
    made = plan(parse_cron("* * * * *", "UTC"), NOW - timedelta(days=365), NOW, policy())
    assert made.decisions[0].at_least
    assert (made.decisions[0].fate, made.decisions[0].count) == (Fate.TOO_OLD, 100_000)
    assert made.watermark == datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


SCHEDULES = st.one_of(
    st.builds(Every, st.timedeltas(timedelta(seconds=20), timedelta(hours=5)), st.just(NOW - timedelta(days=50))),
    st.sampled_from(["*/3 * * * *", "7 * * * *", "30 2 * * *"]).map(lambda text: parse_cron(text, "Europe/Paris")),
)
POLICIES = st.builds(Policy, st.booleans(), st.sampled_from(CatchUp), st.timedeltas(timedelta(0), timedelta(hours=12)))
DOWNTIMES = st.timedeltas(timedelta(0), timedelta(hours=30))


@settings(deadline=None)
@given(SCHEDULES, DOWNTIMES, POLICIES)
def test_each_due_time_is_decided_once_and_in_order(schedule: Every, downtime: timedelta, how: Policy) -> None:
    since = NOW - downtime
    made = plan(schedule, since, NOW, how)
    dues = list(takewhile(lambda due: due <= NOW, schedule.after(since)))
    assert sum(decision.count for decision in made.decisions) == len(dues)
    spans = [(decision.first, decision.last) for decision in made.decisions]
    assert spans == sorted(spans)
    assert made.watermark == (dues[-1] if dues else since)
    single = [decision.first for decision in made.decisions if decision.count == 1]
    assert set(single) <= set(dues)
    assert all(decision.count == 1 for decision in made.decisions if decision.fate.runs)


@settings(deadline=None)
@given(SCHEDULES, DOWNTIMES, POLICIES, st.integers(0, 100))
def test_a_restart_in_between_runs_nothing_twice(
    schedule: Every, downtime: timedelta, how: Policy, percent: int
) -> None:
    since = NOW - downtime
    between = since + downtime * percent / 100
    first = plan(schedule, since, between, how)
    second = plan(schedule, first.watermark, NOW, how)
    runs = [decision.first for made in (first, second) for decision in made.decisions if decision.fate.runs]
    assert len(runs) == len(set(runs))
