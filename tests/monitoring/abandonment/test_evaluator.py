"""When a task is abandoned or idle, who is told, and when it may be disabled: each case with a life of its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from monitoring.abandonment.evaluator import Circumstances, Hold, Status, evaluate
from monitoring.abandonment.facts import Facts, Trouble
from monitoring.abandonment.rules import DEFAULT, Rules, Stage
from tests.monitoring.abandonment.lives import (
    DAY,
    DISABLING,
    HOUR,
    MINUTE,
    NOTIFYING,
    OWNER,
    SECOND,
    START,
    Disable,
    Fire,
    HandOver,
    Life,
    Remind,
    Resolve,
    Warn,
)


def test_failing_for_thirty_days_less_a_second_is_silent_and_at_thirty_days_it_is_warned() -> None:
    life = Life()
    life.look()
    life.becomes(healthy=False)
    life.passes(30 * DAY - SECOND)
    assert life.silent()
    life.passes(SECOND)
    assert [type(one) for _, one in life.said] == [Fire, Warn]


def test_it_is_disabled_168_hours_after_the_warning_was_delivered_and_not_a_second_earlier() -> None:
    life = Life()
    life.look()
    life.becomes(healthy=False)
    life.passes(30 * DAY)
    life.passes(5 * HOUR)  # the mail waits somewhere
    delivered = life.now
    life.delivers()
    life.passes(168 * HOUR - SECOND)
    assert life.times(Disable) == []
    life.passes(SECOND)
    assert life.times(Disable) == [delivered + timedelta(hours=168)]


def test_an_undelivered_warning_disables_nothing_for_ever() -> None:
    life = Life()
    life.look()
    life.becomes(healthy=False)
    life.passes(120 * DAY)
    assert len(life.ones(Warn)) == 1
    assert life.ones(Disable) == []
    assert life.latest is not None
    assert life.latest.hold is Hold.UNDELIVERED


@pytest.mark.parametrize("notice", [2 * DAY, 20 * DAY])
def test_a_promised_date_stays_when_the_policy_changes(notice: timedelta) -> None:
    life = Life()
    life.warned()
    promised = life.now + 7 * DAY
    life.passes(DAY)
    life.rules = replace(DISABLING, notice=notice)
    life.passes(20 * DAY)
    assert life.times(Disable)[0] == promised
    assert len(life.ones(Warn)) == 1


def test_the_length_is_that_of_the_moment_when_the_warning_was_made() -> None:
    life = Life()
    life.look()
    life.becomes(healthy=False)
    life.passes(30 * DAY)
    life.rules = replace(DISABLING, notice=DAY)
    delivered = life.now
    life.delivers()
    life.passes(8 * DAY)
    assert life.times(Disable)[0] == delivered + 7 * DAY


def test_nothing_is_disabled_while_the_policy_does_not_disable_and_the_date_is_never_earlier_afterwards() -> None:
    life = Life()
    life.warned()
    promised = life.now + 7 * DAY
    life.rules = NOTIFYING
    life.passes(3 * DAY)
    assert life.latest is not None
    assert life.latest.hold is Hold.NOTIFY_ONLY
    life.rules = DISABLING
    life.passes(10 * DAY)
    assert life.times(Disable)[0] == promised


def test_a_warning_that_announced_no_disabling_is_followed_by_one_that_does() -> None:
    life = Life(rules=NOTIFYING)
    life.warned()
    life.passes(60 * DAY)
    assert life.ones(Disable) == []
    life.rules = DISABLING
    life.around = replace(life.around, delivered_at=None)
    life.passes(HOUR)
    assert len(life.ones(Warn)) == 2
    life.delivers()
    delivered = life.now
    life.passes(8 * DAY)
    assert life.times(Disable)[0] == delivered + 7 * DAY


def test_a_person_who_edits_the_task_on_day_six_resolves_it() -> None:
    life = Life()
    life.warned()
    life.passes(6 * DAY)
    life.becomes(changed_at=life.now)
    life.passes(10 * DAY)
    (resolved,) = life.ones(Resolve)
    assert isinstance(resolved, Resolve)
    assert resolved.silently, "it did not recover"
    assert life.ones(Disable) == []


def test_after_such_an_edit_the_warning_comes_again_in_full() -> None:
    life = Life()
    life.warned()
    life.passes(6 * DAY)
    life.becomes(changed_at=life.now)
    life.around = replace(life.around, delivered_at=None)
    edited = life.now
    life.passes(20 * DAY)
    assert life.times(Warn)[1] == edited + 14 * DAY
    assert life.ones(Disable) == []


def test_five_minutes_of_health_do_not_reset_failing_since() -> None:
    life = Life(every=MINUTE)
    life.look()
    life.becomes(healthy=False)
    life.passes(3 * HOUR)
    began = START
    life.becomes(healthy=True)
    life.passes(5 * MINUTE)
    life.becomes(healthy=False)
    assert life.remembered is not None
    assert life.remembered.failing_since == began


def test_two_clean_hours_reset_failing_since() -> None:
    life = Life(every=MINUTE)
    life.look()
    life.becomes(healthy=False)
    life.passes(3 * HOUR)
    life.becomes(healthy=True)
    life.passes(2 * HOUR - SECOND)
    assert life.remembered is not None
    assert life.remembered.failing_since == START
    life.passes(SECOND)
    assert life.remembered.failing_since is None


@pytest.mark.parametrize("counter", ["restarts", "failures"])
def test_health_between_two_looks_was_not_clean_where_a_counter_rose(counter: str) -> None:
    life = Life(every=10 * MINUTE)
    life.look()
    life.becomes(healthy=False)
    life.passes(HOUR)
    life.becomes(healthy=True)
    life.passes(110 * MINUTE)
    life.becomes(**{counter: 1})
    life.passes(110 * MINUTE)
    assert life.remembered is not None
    assert life.remembered.failing_since == START
    life.passes(10 * MINUTE)
    assert life.remembered.failing_since is None


def test_a_recovery_that_lasted_is_told_and_one_that_did_not_stops_nothing_but_the_moment() -> None:
    life = Life()
    life.warned()
    life.passes(7 * DAY - HOUR)
    life.becomes(healthy=True)
    life.passes(HOUR)
    assert life.latest is not None
    assert life.latest.hold is Hold.HEALTHY_NOW, "what is healthy at this moment is not disabled"
    life.becomes(healthy=False)
    assert len(life.ones(Disable)) == 1

    life = Life()
    life.warned()
    life.becomes(healthy=True)
    life.passes(2 * HOUR)
    (resolved,) = life.ones(Resolve)
    assert isinstance(resolved, Resolve)
    assert not resolved.silently
    assert life.latest is not None
    assert life.latest.status is Status.HEALTHY


def test_never_seen_healthy_counts_from_creation() -> None:
    facts = Facts(owner=OWNER, healthy=False, created_at=START)
    life = Life(facts=facts, now=START + 29 * DAY)
    life.look()
    assert life.silent()
    life.passes(DAY)
    assert life.times(Fire) == [START + 30 * DAY]


def test_enabled_again_counts_from_then() -> None:
    life = Life()
    life.warned()
    life.becomes(enabled=False)
    life.passes(DAY)
    life.becomes(enabled=True)
    assert life.remembered is not None
    assert life.remembered.failing_since == life.now
    life.passes(29 * DAY)
    assert len(life.ones(Fire)) == 1


def test_disabled_by_anybody_is_resolved_silently() -> None:
    life = Life()
    life.warned()
    life.becomes(enabled=False)
    (resolved,) = life.ones(Resolve)
    assert isinstance(resolved, Resolve)
    assert resolved.silently
    assert life.latest is not None
    assert life.latest.status is Status.DISABLED


@pytest.mark.parametrize("facts", [{"has_shards": False}, {"enabled": False}])
def test_what_has_no_shards_or_is_disabled_is_never_abandoned(facts: dict[str, bool]) -> None:
    life = Life(facts=replace(Facts(owner=OWNER, healthy=False, created_at=START), **facts))  # type: ignore[arg-type]
    life.passes(90 * DAY)
    assert life.silent()


def test_a_new_task_without_data_is_not_idle_before_its_thirty_days() -> None:
    life = Life(facts=Facts(owner=OWNER, created_at=START, last_data_at=None))
    life.look()
    life.passes(30 * DAY - SECOND)
    assert life.silent()
    life.passes(SECOND)
    (fired,) = life.ones(Fire)
    assert fired == Fire(Trouble.IDLE)


def test_where_nobody_tells_of_data_nothing_is_idle() -> None:
    life = Life(facts=Facts(owner=OWNER, created_at=START, data_known=False))
    life.passes(400 * DAY)
    assert life.silent()


def test_data_that_moves_again_resolves_an_idle_task_and_says_so() -> None:
    life = Life()
    life.look()
    life.passes(30 * DAY)
    assert life.ones(Fire) == [Fire(Trouble.IDLE)]
    life.passes(HOUR, moving=True)
    assert life.ones(Resolve) == [Resolve(Trouble.IDLE, "It moves data again.", False)]


def test_an_idle_task_that_begins_to_fail_is_not_told_to_be_fine() -> None:
    life = Life()
    life.look()
    life.passes(31 * DAY)
    life.becomes(healthy=False)
    (resolved,) = life.ones(Resolve)
    assert isinstance(resolved, Resolve)
    assert resolved.silently


def test_days_in_which_nobody_saw_it_do_not_count() -> None:
    life = Life()
    life.look()
    life.becomes(healthy=False)
    life.passes(10 * DAY)
    life.unseen(3 * DAY)
    life.look()
    life.passes(20 * DAY - SECOND)
    assert life.silent()
    life.passes(SECOND)
    assert life.times(Fire) == [START + 33 * DAY]


def test_health_that_nobody_saw_is_counted_for_the_customer() -> None:
    life = Life()
    life.look()
    life.becomes(healthy=False)
    life.passes(29 * DAY)
    life.unseen(3 * DAY)
    recovered = life.now - DAY
    life.becomes(last_healthy_at=recovered)
    assert life.remembered is not None
    assert life.remembered.failing_since == recovered


def test_a_new_owner_gets_a_warning_of_his_own_and_the_full_time_and_the_one_before_is_told() -> None:
    life = Life()
    life.warned()
    life.passes(5 * DAY)
    life.around = replace(life.around, delivered_at=None)
    life.becomes(owner="new@example.com")
    assert life.ones(HandOver) == [HandOver(OWNER, 1)]
    life.passes(3 * DAY)  # the promise to the one before is over; the new one's warning has not arrived
    assert life.ones(Disable) == []
    life.delivers()
    delivered = life.now
    life.passes(8 * DAY)
    assert life.times(Disable)[0] == delivered + 7 * DAY


def test_reminders_come_three_days_and_a_day_before() -> None:
    life = Life()
    life.warned()
    promised = life.now + 7 * DAY
    life.passes(7 * DAY - SECOND)
    assert life.times(Remind) == [promised - 3 * DAY, promised - DAY]


def test_a_reminder_that_was_missed_is_not_made_up_for_beside_the_next() -> None:
    life = Life()
    life.warned()
    life.passes(3 * DAY)
    life.unseen(3 * DAY + HOUR)
    life.look()
    life.passes(HOUR)
    assert [one.before for one in life.ones(Remind) if isinstance(one, Remind)] == [DAY]


def test_off_by_default_it_is_detected_and_nothing_else() -> None:
    life = Life(rules=DEFAULT)
    life.look()
    life.becomes(healthy=False)
    life.passes(200 * DAY)
    assert [type(one) for _, one in life.said] == [Fire]


def test_failing_and_idle_have_stages_of_their_own() -> None:
    rules = Rules(failing_stage=Stage.DISABLE)
    life = Life(rules=rules)
    life.look()
    life.passes(40 * DAY)
    assert [type(one) for _, one in life.said] == [Fire]
    life.becomes(healthy=False)
    life.passes(30 * DAY)
    assert len(life.ones(Warn)) == 1


@pytest.mark.parametrize(
    ("facts", "hold"),
    [({"protected": True}, Hold.PROTECTED), ({"owner": ""}, Hold.NO_OWNER)],
)
def test_protected_and_ownerless_tasks_are_detected_and_never_disabled(facts: dict[str, object], hold: Hold) -> None:
    life = Life()
    life.look()
    life.becomes(healthy=False, **facts)
    life.passes(200 * DAY)
    assert [type(one) for _, one in life.said] == [Fire]
    assert life.latest is not None
    assert life.latest.hold is hold


def test_during_an_outage_and_the_day_after_nobody_is_warned_or_disabled() -> None:
    life = Life()
    life.warned()
    life.around = replace(life.around, outage=True, held_alerts=True)
    life.passes(10 * DAY)
    assert life.ones(Disable) == []
    assert life.ones(Resolve) == [], "an alert that is open stays open"
    life.around = replace(life.around, outage=False, held_alerts=False)
    life.look()
    assert len(life.ones(Disable)) == 1


def test_alerts_wait_for_an_outage_to_be_over() -> None:
    life = Life(around=Circumstances(patience=2 * HOUR, outage=True, held_alerts=True))
    life.look()
    life.becomes(healthy=False)
    life.passes(31 * DAY)
    assert life.silent()
    life.around = replace(life.around, held_alerts=False)  # it lasts, and is no news any more
    life.look()
    assert [type(one) for _, one in life.said] == [Fire]


def test_a_kept_task_is_left_alone_until_then_and_warned_in_full_afterwards() -> None:
    life = Life()
    life.warned()
    assert life.remembered is not None
    until = life.now + 20 * DAY
    life.remembered = replace(life.remembered, keep_until=until)
    life.around = replace(life.around, delivered_at=None)
    life.passes(20 * DAY)
    (resolved,) = life.ones(Resolve)
    assert isinstance(resolved, Resolve)
    assert resolved.silently
    assert life.times(Warn)[1] == until


def test_an_exempt_task_is_left_alone() -> None:
    life = Life()
    life.look()
    assert life.remembered is not None
    life.remembered = replace(life.remembered, exempt=True)
    life.becomes(healthy=False)
    life.passes(90 * DAY)
    assert life.silent()
    assert life.latest is not None
    assert life.latest.hold is Hold.EXEMPT


def test_asked_twice_at_one_moment_nothing_is_decided_twice() -> None:
    life = Life()
    life.warned()
    before = len(life.said)
    for _ in range(3):
        life.look()
    assert len(life.said) == before


def test_time_in_which_it_failed_is_no_time_without_data() -> None:
    life = Life()
    life.look()
    life.passes(10 * DAY)
    life.becomes(healthy=False)
    life.passes(25 * DAY)
    life.becomes(healthy=True)
    life.passes(10 * DAY)
    assert life.silent()
    life.passes(11 * DAY)
    assert life.ones(Fire) == [Fire(Trouble.IDLE)]


def test_restarts_are_counted_since_it_was_healthy() -> None:
    life = Life()
    life.becomes(restarts=40)
    life.becomes(healthy=False, restarts=41)
    life.becomes(restarts=866)
    assert life.remembered is not None
    assert life.remembered.restarts - life.remembered.restarts_before == 826


def test_a_clock_that_goes_back_decides_nothing_new() -> None:
    life = Life()
    life.warned()
    said = len(life.said)
    assert life.remembered is not None
    earlier = evaluate(life.facts, life.remembered, life.rules, life.now - HOUR, life.around)
    assert len(life.said) == said
    assert [one for one in earlier.decisions if isinstance(one, (Disable, Warn))] == []
