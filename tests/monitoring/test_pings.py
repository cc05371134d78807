"""How monitors stand: pings and silence, on moments of our own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from monitoring.schedules.pings import (
    Deadline,
    Outcome,
    Ping,
    PingKind,
    Rules,
    State,
    Status,
    Stored,
    Trouble,
    after_ping,
    after_silence,
    deadline,
    paused,
    resumed,
    status_at,
)
from opsconsole.due import After, parse_cron

T0 = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
ONE, TWO = UUID(int=1), UUID(int=2)
DAILY = Rules(After(24 * HOUR), grace=HOUR, time_limit=30 * MINUTE)


def heard(rules: Rules, *pings: Ping, state: State | None = None) -> Outcome:
    """The outcome of the last of the pings, one after the other."""
    outcome = Outcome(state or State())
    for ping in pings:
        outcome = after_ping(outcome.state, ping, rules)
    return outcome


def ok(at: datetime = T0, rid: UUID | None = None) -> Ping:
    return Ping(PingKind.SUCCESS, at, rid)


def fail(at: datetime = T0, rid: UUID | None = None) -> Ping:
    return Ping(PingKind.FAIL, at, rid)


def start(at: datetime = T0, rid: UUID | None = None) -> Ping:
    return Ping(PingKind.START, at, rid)


class TestPings:
    def test_a_failure_makes_down_and_a_success_up(self) -> None:
        down = heard(DAILY, ok(), fail(T0 + HOUR))
        assert (down.state.stored, down.opened) == (Stored.DOWN, Trouble.FAILED)
        up = heard(DAILY, ok(T0 + 2 * HOUR), state=down.state)
        assert (up.state.stored, up.closed, up.state.trouble) == (Stored.UP, True, None)

    def test_start_leaves_the_last_success_and_log_changes_nothing(self) -> None:
        state = heard(DAILY, ok()).state
        started = heard(DAILY, start(T0 + HOUR), state=state).state
        assert (started.last_ping, started.stored) == (T0, Stored.UP)
        assert heard(DAILY, Ping(PingKind.LOG, T0 + HOUR), state=started).state == started

    def test_the_first_ping_is_silent(self) -> None:
        first = heard(DAILY, ok())
        assert (first.opened, first.closed) == (None, False)

    def test_a_success_with_the_run_id_of_its_start_gives_its_duration(self) -> None:
        done = heard(DAILY, start(T0, ONE), start(T0 + MINUTE, TWO), ok(T0 + 10 * MINUTE, ONE))
        assert done.duration == 10 * MINUTE
        assert dict(done.state.runs) == {TWO: T0 + MINUTE}

    def test_without_a_run_id_it_ends_all(self) -> None:
        done = heard(DAILY, start(T0, ONE), start(T0 + MINUTE), ok(T0 + 5 * MINUTE))
        assert (done.duration, dict(done.state.runs)) == (4 * MINUTE, {})

    def test_a_failure_ends_what_was_started_whoever_started_it(self) -> None:
        assert dict(heard(DAILY, start(T0, ONE), fail(T0 + MINUTE, TWO)).state.runs) == {}

    def test_a_run_that_ended_too_late_is_told_apart(self) -> None:
        late = heard(DAILY, start(T0, ONE), ok(T0 + 31 * MINUTE, ONE))
        assert (late.opened, late.state.stored) == (Trouble.TOO_LONG, Stored.DOWN)

    def test_the_same_failure_again_opens_nothing_new(self) -> None:
        assert heard(DAILY, fail(), fail(T0 + HOUR)).opened is None


class TestThresholds:
    RULES = Rules(After(24 * HOUR), HOUR, 30 * MINUTE, failures_to_open=3, successes_to_close=2)

    def test_two_failures_of_three_are_no_alert(self) -> None:
        two = heard(self.RULES, fail(), fail(T0 + HOUR))
        assert (two.opened, two.state.stored) == (None, Stored.UP)
        assert heard(self.RULES, fail(T0 + 2 * HOUR), state=two.state).opened is Trouble.FAILED

    def test_a_success_between_starts_the_count_anew(self) -> None:
        assert heard(self.RULES, fail(), fail(), ok(), fail(), fail()).opened is None

    def test_ok_fail_ok_ok_resolves_at_the_last(self) -> None:
        down = heard(self.RULES, fail(), fail(), fail()).state
        one = heard(self.RULES, ok(), fail(), ok(), state=down)
        assert (one.closed, one.state.stored) == (False, Stored.DOWN)
        assert heard(self.RULES, ok(), state=one.state).closed


class TestSilence:
    STATE = heard(DAILY, ok()).state

    def test_a_second_before_the_deadline_it_is_late_and_at_it_down(self) -> None:
        ends = T0 + 25 * HOUR
        assert status_at(self.STATE, DAILY, T0 + 24 * HOUR - SECOND) is Status.UP
        assert status_at(self.STATE, DAILY, T0 + 24 * HOUR) is Status.LATE
        assert status_at(self.STATE, DAILY, ends - SECOND) is Status.LATE
        assert status_at(self.STATE, DAILY, ends) is Status.DOWN
        assert after_silence(self.STATE, DAILY, ends - SECOND).opened is None
        assert after_silence(self.STATE, DAILY, ends).opened is Trouble.MISSING_START

    def test_the_older_of_two_runs_still_times_out(self) -> None:
        state = heard(DAILY, start(T0, ONE), start(T0 + 20 * MINUTE, TWO), ok(T0 + 25 * MINUTE, TWO)).state
        assert deadline(state, DAILY) == Deadline(T0 + 30 * MINUTE, Trouble.MISSING_END)
        overran = after_silence(state, DAILY, T0 + 30 * MINUTE)
        assert (overran.opened, dict(overran.state.runs)) == (Trouble.MISSING_END, {})

    def test_a_run_under_way_is_not_missing_its_start(self) -> None:
        state = heard(DAILY, start(T0 + 24 * HOUR + MINUTE), state=self.STATE).state
        assert deadline(state, DAILY) == Deadline(T0 + 24 * HOUR + 31 * MINUTE, Trouble.MISSING_END)

    def test_a_new_monitor_waits_for_its_first_ping(self) -> None:
        assert deadline(State(), DAILY) is None
        assert status_at(State(), DAILY, T0 + timedelta(days=999)) is Status.NEW

    def test_a_schedule_without_a_next_time_never_goes_down(self) -> None:
        never = Rules(parse_cron("0 0 29 2 *", "UTC"), HOUR, HOUR)
        last = State(Stored.UP, last_ping=datetime(9000, 1, 1, tzinfo=UTC))
        assert deadline(last, Rules(None, HOUR, HOUR)) is None
        assert deadline(last, never) is not None

    def test_our_own_gap_moves_the_deadline(self) -> None:
        ends = T0 + 25 * HOUR
        assert after_silence(self.STATE, DAILY, ends + MINUTE, own_gap=5 * MINUTE).opened is None
        assert after_silence(self.STATE, DAILY, ends + 5 * MINUTE, own_gap=5 * MINUTE).opened is Trouble.MISSING_START

    def test_silence_opens_once(self) -> None:
        down = after_silence(self.STATE, DAILY, T0 + 30 * HOUR).state
        assert after_silence(down, DAILY, T0 + 90 * HOUR).opened is None


class TestPause:
    MANUAL = Rules(After(24 * HOUR), HOUR, HOUR, manual_resume=True)

    def test_paused_with_manual_resume_ignores_pings(self) -> None:
        state = paused(heard(self.MANUAL, ok()).state)
        outcome = heard(self.MANUAL, fail(T0 + HOUR), state=state)
        assert (outcome.ignored, outcome.state) == (True, state)
        assert after_silence(state, self.MANUAL, T0 + timedelta(days=99)).opened is None

    def test_resume_makes_new_silently(self) -> None:
        state = resumed(paused(heard(self.MANUAL, ok()).state))
        assert status_at(state, self.MANUAL, T0 + timedelta(days=99)) is Status.NEW

    def test_without_it_a_ping_takes_it_up_again_silently(self) -> None:
        outcome = heard(DAILY, ok(T0 + HOUR), state=paused(heard(DAILY, ok()).state))
        assert (outcome.state.stored, outcome.closed) == (Stored.UP, False)


RIDS = st.sampled_from([None, ONE, TWO])
EVENTS = st.lists(st.tuples(st.sampled_from(PingKind), RIDS, st.integers(0, 200)), max_size=25)
RULES = st.builds(
    Rules,
    st.just(After(HOUR)),
    grace=st.just(10 * MINUTE),
    time_limit=st.just(30 * MINUTE),
    failures_to_open=st.integers(1, 3),
    successes_to_close=st.integers(1, 3),
    manual_resume=st.booleans(),
)


@given(EVENTS, RULES)
def test_troubles_open_and_close_in_turn(events: list[tuple[PingKind, UUID | None, int]], rules: Rules) -> None:
    """Whatever is heard: nothing closes that is not open, and a change to down always says why."""
    state, now = State(), T0
    for kind, rid, minutes in events:
        now += minutes * MINUTE
        for outcome in (
            quiet := after_silence(state, rules, now),
            after_ping(quiet.state, Ping(kind, now, rid), rules),
        ):
            was_down, is_down = state.stored is Stored.DOWN, outcome.state.stored is Stored.DOWN
            assert outcome.closed == (was_down and not is_down)
            assert is_down == (outcome.state.trouble is not None)
            assert not (is_down and not was_down and outcome.opened is None)
            state = outcome.state
        ends = deadline(state, rules)
        assert ends is None or status_at(state, rules, ends.at) is Status.DOWN
