"""Looks at a real table: what is taken over, what changes between looks, and what is done about it."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from datetime import timedelta

import pytest

from monitoring.abandonment import source
from monitoring.abandonment.models import FailingSpell, LookGap, ScopeOutage, SourceLook, TaskState, TrackedTask
from monitoring.abandonment.operations import looking
from monitoring.abandonment.rules import Stage
from monitoring.alerts.models import Alert
from opsconsole.errors import UnavailableError
from tests.monitoring.abandonment.plane import DAY, HOUR, MINUTE, NOW, OWNER, Console, Plane, policy

pytest_plugins = ["tests.fixtures_abandonment"]
SECOND = timedelta(seconds=1)


def test_everything_that_the_table_says_is_taken_over(plane: Plane, console: Console) -> None:
    plane.put(7, failing=NOW - 3 * DAY, restarted=41, failed=9, edited=NOW - 60 * DAY, vip=True, err="x" * 5_000)
    assert console.look().tasks == 1
    task = console.task(7)
    assert (task.title, task.kind, task.owner, task.scope) == ("task 7", "capture", OWNER, "eu-1")
    assert (task.restarts, task.failures, task.protected, task.healthy) == (41, 9, True, False)
    assert task.failing_since == NOW - 3 * DAY
    assert task.changed_at == NOW - 60 * DAY
    assert task.link == "https://app.example.com/tasks/7"
    assert len(task.last_error) == 2_000
    assert task.status is TaskState.FAILING


def test_a_query_is_read_as_a_table_is(plane: Plane, console: Console) -> None:
    plane.put(1)
    query = f'SELECT "Id" AS id, primary_at, \'x%y\' AS sc FROM "{plane.store.schema}"."Live Tasks 100%"'  # noqa: S608
    console.use(
        replace(
            plane.source(),
            table=None,
            query=query,
            id="id",
            title="",
            kind="",
            owner="",
            scope="sc",
            enabled="",
            has_shards="",
            protected="",
            created_at="",
            last_data_at="",
            failures="",
            restarts="",
            last_error="",
            changed_at="",
            where="id > 0",
        )
    )
    assert console.look().tasks == 1
    assert (console.task(1).scope, console.task(1).enabled, console.task(1).data_known) == ("x%y", True, False)


def test_nothing_is_begun_by_the_first_look_and_the_second_decides(plane: Plane, console: Console) -> None:
    policy()
    plane.put(1, failing=NOW - 31 * DAY)
    console.look()
    assert console.alerts() == []
    console.passes(5 * MINUTE)
    task = console.task(1)
    assert console.alerts() == [("abandoned", task.subject)]
    assert console.mails() == [("warning", OWNER)]
    assert task.status is TaskState.WARNED


def test_a_second_look_finds_nothing_to_write_and_decides_nothing_twice(plane: Plane, console: Console) -> None:
    policy()
    for number in range(1, 6):
        plane.put(number)
    plane.put(6, failing=NOW - 31 * DAY)
    console.settle()
    console.passes(10 * MINUTE, keep=(1, 2, 3, 4, 5))
    assert console.look().written <= 1
    assert Alert.objects.count() == 1
    assert len(console.mails()) == 1


def test_what_goes_on_as_before_is_left_alone_and_any_change_is_seen(plane: Plane, console: Console) -> None:
    """The glance that spares the evaluation: a task that it leaves out is not written, and one change is enough."""
    plane.put(1)
    console.settle()
    console.passes(10 * MINUTE, keep=(1,))
    assert console.look().written == 0
    changes: list[dict[str, object]] = [
        {"mail": "ben@example.com"},
        {"restarted": 1},
        {"edited": NOW},
        {"err": "a warning"},
        {"on_off": "off"},
        {"on_off": "on"},
        {"vip": True},
    ]
    for change in changes:
        plane.change(1, **change)
        assert console.look().written == 1, change
    console.passes(10 * MINUTE, keep=(1,))
    assert console.look().written == 0
    console.passes(HOUR, keep=(1,))
    task = console.task(1)
    assert plane.now - task.looked_at < HOUR, "its row is never older than an hour"
    assert (task.owner, task.restarts, task.protected) == ("ben@example.com", 1, True)


def test_the_memory_of_a_look_does_not_grow_with_the_tasks(
    plane: Plane, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "PORTION", 100)

    def peak(first: int, last: int) -> int:
        plane.fill(first, last)
        tracemalloc.start()
        try:
            assert console.look().tasks == last
            console.passes(5 * MINUTE)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = peak(1, 200), peak(201, 2_000)
    assert many < few + 500_000, f"{few:,} bytes for 200 tasks, {many:,} for 2,000"


def test_warned_and_disabled_exactly_a_week_after_the_delivery(plane: Plane, console: Console) -> None:
    """Case 22, with the table, the outbox and the disabling."""
    policy()
    plane.put(1, failing=NOW - 30 * DAY + HOUR)
    console.settle()
    console.jumps(HOUR - 5 * MINUTE - SECOND)
    assert console.alerts() == []
    console.jumps(SECOND)
    assert console.mails() == [("warning", OWNER)]
    console.jumps(3 * HOUR)
    console.deliver()
    delivered = plane.now
    console.look()
    assert console.task(1).disable_at == delivered + 168 * HOUR
    console.jumps(168 * HOUR - SECOND)
    assert console.work() == 0
    assert plane.value(1, "on_off") == "on"
    console.jumps(SECOND)
    assert console.work() == 1
    assert plane.value(1, "on_off") == "off"


def test_a_source_that_cannot_be_read_leaves_its_tasks_unknown_and_those_days_do_not_count(
    plane: Plane, console: Console
) -> None:
    """Case 31."""
    policy()
    plane.put(1, failing=NOW - 29 * DAY)
    console.settle()
    away = replace(plane.source(), url="postgresql://nobody@127.0.0.1:1/none")
    for _ in range(3):
        plane.now += DAY
        looked = looking.look_at(away, plane.now)
        assert looked is not None
        assert "cannot be reached" in looked.error
    look = SourceLook.objects.get()
    assert look.unreadable_since == NOW + 5 * MINUTE + DAY
    assert console.alerts() == []
    console.look()
    assert console.alerts() == []
    (gap,) = LookGap.objects.all()
    assert (gap.began_at, gap.ended_at) == (NOW + 5 * MINUTE, plane.now)
    console.jumps(DAY - 5 * MINUTE - SECOND)
    assert console.alerts() == []
    console.jumps(SECOND)
    assert [kind for kind, _ in console.alerts()] == ["abandoned"]


def test_nothing_is_disabled_while_its_source_cannot_be_read(plane: Plane, console: Console) -> None:
    policy()
    plane.put(1, failing=NOW - 31 * DAY)
    console.settle()
    console.deliver()
    console.jumps(7 * DAY)
    console.use(replace(plane.source(), url="postgresql://nobody@127.0.0.1:1/none"))
    console.work()
    assert plane.value(1, "on_off") == "on"
    assert console.disablings() == ["asked"]
    assert console.mails("disabled") == []


def test_forty_percent_that_fail_together_are_one_incident_and_wait(plane: Plane, console: Console) -> None:
    """Case 29."""
    policy(failing_after=timedelta(days=1))
    for number in range(1, 26):
        plane.put(number)
    console.settle()
    console.passes(5 * MINUTE, keep=tuple(range(1, 26)))
    went_down = plane.now
    healthy = tuple(range(11, 26))
    console.passes(25 * MINUTE, keep=healthy)
    assert [kind for kind, _ in console.alerts()] == ["incident"]
    (outage,) = ScopeOutage.objects.all()
    assert (outage.together, outage.total, outage.scope) == (10, 25, "eu-1")
    assert outage.began_at <= went_down
    console.jumps(2 * DAY)
    plane.healthy(*healthy)
    console.look()
    assert [kind for kind, _ in console.alerts()] == ["incident"], "individual alerts are held back"
    assert console.mails() == []
    console.jumps(6 * DAY)
    assert len(console.alerts(kind="abandoned")) >= 10, "but not for ever"
    assert console.mails() == []
    assert console.disablings() == []


def test_an_outage_that_ends_is_over_a_day_later(plane: Plane, console: Console) -> None:
    policy(failing_after=timedelta(days=1))
    for number in range(1, 13):
        plane.put(number, failing=NOW - HOUR)
    plane.put(99, failing=NOW - 3 * DAY)
    console.settle()
    every = tuple(range(1, 13))
    console.passes(2 * HOUR + 5 * MINUTE, keep=every)
    assert console.alerts() == []
    console.passes(23 * HOUR, every=10 * MINUTE, keep=every)
    assert console.alerts() == [], "the day after"
    console.passes(2 * HOUR, every=10 * MINUTE, keep=every)
    assert [kind for kind, _ in console.alerts()] == ["abandoned"]


def test_what_its_source_has_no_more_is_gone_silently(plane: Plane, console: Console) -> None:
    policy()
    plane.put(1, failing=NOW - 31 * DAY)
    plane.put(2)
    console.settle()
    plane.remove(1)
    assert console.look().gone == 1
    assert console.task(1).status is TaskState.GONE
    (alert,) = Alert.objects.filter(kind="abandoned")
    assert alert.resolved_silently
    plane.put(1, failing=NOW - 31 * DAY)
    plane.now += 5 * MINUTE
    console.look()
    assert console.task(1).gone_at is None


def test_a_person_who_edits_it_on_day_six_ends_the_countdown(plane: Plane, console: Console) -> None:
    """Case 24."""
    policy()
    plane.put(1, failing=NOW - 31 * DAY)
    console.settle()
    console.deliver()
    console.jumps(6 * DAY)
    assert console.task(1).disable_at is not None
    plane.change(1, edited=plane.now)
    console.look()
    assert console.alerts() == []
    assert Alert.objects.get(kind="abandoned").resolved_silently
    console.jumps(3 * DAY)
    assert console.work() == 0


def test_a_promised_date_stays_when_the_policy_changes(plane: Plane, console: Console) -> None:
    """Case 23."""
    row = policy()
    plane.put(1, failing=NOW - 31 * DAY)
    console.settle()
    console.deliver()
    console.look()
    promised = console.task(1).disable_at
    row.notice = timedelta(days=1)
    row.save()
    console.jumps(2 * DAY)
    assert console.task(1).disable_at == promised
    assert console.disablings() == []


def test_a_new_owner_is_warned_in_full_and_the_one_before_is_told(plane: Plane, console: Console) -> None:
    """Case 34."""
    policy()
    plane.put(1, failing=NOW - 31 * DAY)
    console.settle()
    console.deliver()
    console.jumps(5 * DAY)
    plane.change(1, mail="ben@example.com")
    console.look()
    assert console.mails()[-2:] == [("handover", OWNER), ("warning", "ben@example.com")]
    console.jumps(3 * DAY)
    assert console.disablings() == []
    console.deliver()
    console.look()
    assert console.task(1).disable_at == plane.now + 7 * DAY


def test_an_owner_without_an_address_is_never_warned_and_the_alert_is_one(plane: Plane, console: Console) -> None:
    """Case 32, the part of it that is not the alerts' own."""
    policy()
    plane.put(1, failing=NOW - 31 * DAY, mail=None)
    console.settle()
    console.jumps(60 * DAY)
    assert console.mails() == []
    assert Alert.objects.count() == 1
    assert console.task(1).hold == "no_owner"
    assert console.disablings() == []


def test_off_by_default(plane: Plane, console: Console) -> None:
    plane.put(1, failing=NOW - 31 * DAY)
    console.settle()
    console.jumps(60 * DAY)
    assert [kind for kind, _ in console.alerts()] == ["abandoned"]
    assert console.mails() == []
    assert console.disablings() == []


def test_the_narrower_policy_holds(plane: Plane, console: Console) -> None:
    policy(Stage.DISABLE)
    policy(Stage.NOTIFY, scope="eu-*")
    policy(Stage.DETECT, scope="eu-1", kind="materialization")
    plane.put(1, failing=NOW - 31 * DAY)
    plane.put(2, failing=NOW - 32 * DAY, kind="materialization")
    plane.put(3, failing=NOW - 33 * DAY, **{"Data Plane": "us-1"})
    console.settle()
    lengths = {number: console.task(number).notice_length for number in (1, 2, 3)}
    assert lengths == {1: None, 2: None, 3: 7 * DAY}
    assert [console.task(number).notice_number for number in (1, 2, 3)] == [1, None, 1]


def test_spells_of_failing_are_kept_for_the_history(plane: Plane, console: Console) -> None:
    plane.put(1)
    console.look()
    console.passes(30 * MINUTE)
    (spell,) = FailingSpell.objects.all()
    assert (spell.began_at, spell.ended_at) == (NOW, None)
    console.passes(5 * MINUTE, keep=(1,))
    spell.refresh_from_db()
    assert spell.ended_at == plane.now


def test_two_lookers_are_one(plane: Plane, console: Console) -> None:
    assert looking.claim("live", NOW)
    assert looking.look_at(plane.source(), NOW + MINUTE) is None
    assert looking.look_at(plane.source(), NOW + 3 * MINUTE) is not None, "who is silent for long is taken for dead"


def test_a_look_that_breaks_in_the_middle_leaves_nothing_half_done(
    plane: Plane, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy()
    plane.put(1, failing=NOW - 31 * DAY)
    console.settle()
    plane.put(2, failing=NOW - 31 * DAY - HOUR)
    before = TrackedTask.objects.count()

    def breaks(*_: object) -> None:
        raise UnavailableError("the connection to the console is gone")

    with monkeypatch.context() as patched:
        patched.setattr(looking, "carry_out_all", breaks)
        console.passes(5 * MINUTE)
    assert TrackedTask.objects.count() == before, "memory and what follows stand or fall together"
    console.passes(5 * MINUTE)
    assert len(console.alerts(kind="abandoned")) == 2
