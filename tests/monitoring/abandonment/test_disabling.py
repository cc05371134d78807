"""Disabling and its undoing, by SQL, HTTP and Kafka: looked at again, done, read back, and only then told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from kafka import KafkaConsumer, TopicPartition

from monitoring.abandonment.models import Disabling, ScopeOutage, TrackedTask
from monitoring.abandonment.operations import disabling
from monitoring.abandonment.operations.disabling import attempt
from monitoring.abandonment.operations.outcomes import note_enabled_elsewhere
from monitoring.abandonment.operations.wishes import ask_by_person, ask_undo, keep
from monitoring.alerts.models import Alert
from opsconsole import estate
from opsconsole.errors import UsageError
from opsconsole.estate.model import DisableWay, HttpCalls, KafkaMessages, SqlStatements
from opsconsole.models import AuditEntry
from opsconsole.words import utc
from tests.monitoring.abandonment.plane import ANN, DAY, HOUR, MINUTE, NOW, OWNER, Console, Plane, policy

pytest_plugins = ["tests.fixtures_abandonment"]


class KilledError(BaseException):
    """Nothing that the code could catch by mistake."""


def killed(*_: object) -> None:
    raise KilledError


def due(plane: Plane, console: Console, *numbers: int) -> None:
    """These are abandoned, their owners warned, and the promised time has come."""
    policy()
    for number in numbers:
        plane.put(number, failing=NOW - 31 * DAY - number * HOUR)
    console.settle()
    console.deliver()
    console.jumps(7 * DAY + HOUR)


def test_disabled_seen_so_and_then_told(plane: Plane, console: Console) -> None:
    due(plane, console, 1)
    assert console.mails("disabled") == []
    assert console.work() == 1
    row = Disabling.objects.get()
    task = console.task(1)
    assert (row.state, task.state) == ("done", "disabled")
    assert plane.value(1, "switched%by") == row.reference
    assert console.mails("disabled") == [("disabled", OWNER)]
    assert console.alerts() == [("auto_disabled", task.subject)]
    assert Alert.objects.get(kind="abandoned").resolved_silently
    actions = list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))
    assert actions == ["tracked_task.owner_warned", "tracked_task.disabling_asked", "tracked_task.disabled"]


def test_no_recovery_is_told_of_what_was_disabled(plane: Plane, console: Console) -> None:
    """Case 28."""
    due(plane, console, 1)
    console.work()
    console.jumps(HOUR)
    assert not Alert.objects.filter(resolved_at__isnull=False, resolved_silently=False).exists()
    assert not Alert.objects.filter(notifications__about="resolved").exists()
    old = Alert.objects.get(kind="abandoned")
    ask_undo(console.task(1), ANN, "they called", plane.now)
    console.work()
    old.refresh_from_db()
    assert old.resolved_because == "It is disabled.", "resolving touches only the open row"


def test_a_commit_that_fails_tells_nobody_and_is_tried_again_within_minutes(plane: Plane, console: Console) -> None:
    """Case 27: a deferred trigger lets the statement pass and the commit fail."""
    plane.store.run(
        """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'the disk is full' USING ERRCODE = '53100'; END $$"""
    )
    plane.store.run(
        'CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE OF on_off ON "Live Tasks 100%" DEFERRABLE INITIALLY DEFERRED'
        " FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    try:
        due(plane, console, 1)
        assert console.work() == 1
        row = Disabling.objects.get()
        assert "the disk is full" in row.error
        assert plane.value(1, "on_off") == "on"
        assert console.mails("disabled") == []
        assert console.alerts() == [("abandoned", console.task(1).subject)]
        assert "the disk is full" in Alert.objects.get(kind="abandoned").seen["Not disabled"]
        waits = []
        for _ in range(5):
            row.refresh_from_db()
            waits.append(row.due_at - plane.now)
            plane.now = row.due_at
            console.look()
            console.work()
        assert waits == [1 * MINUTE, 2 * MINUTE, 4 * MINUTE, 8 * MINUTE, 15 * MINUTE]
    finally:
        plane.store.run('DROP TRIGGER refuse ON "Live Tasks 100%"')
        plane.store.run("DROP FUNCTION refuse")
    plane.now += 15 * MINUTE
    console.look()
    console.work()
    assert console.mails("disabled") == [("disabled", OWNER)]
    assert plane.value(1, "on_off") == "off"


def test_killed_after_the_commit_it_is_finished_and_not_done_twice(
    plane: Plane, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    due(plane, console, 1)
    with monkeypatch.context() as patched:
        patched.setattr(disabling, "finish_disabling", killed)
        with pytest.raises(KilledError):
            console.work()
    assert plane.value(1, "on_off") == "off"
    assert console.mails("disabled") == []
    plane.now += 5 * MINUTE
    console.look()
    assert console.alerts() == []
    console.work()
    assert console.disablings() == ["done"]
    assert console.mails("disabled") == [("disabled", OWNER)]
    row = Disabling.objects.get()
    assert row.reference == plane.value(1, "switched%by")
    # What nobody can know is not claimed.
    found = f"Found disabled: by the order of {utc(plane.now - 5 * MINUTE)} UTC, or by somebody else since."
    assert row.error == Alert.objects.get(kind="auto_disabled").seen["How"] == found
    assert AuditEntry.objects.get(action="tracked_task.disabled").details["found"] == found


def test_killed_before_the_order_left_nothing_is_claimed(
    plane: Plane, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next attempt cannot tell whether it has left; nobody is told that it was disabled from here for certain."""
    due(plane, console, 1)
    with monkeypatch.context() as patched:
        patched.setattr(disabling, "order", killed)
        with pytest.raises(KilledError):
            console.work()
    plane.now += 5 * MINUTE
    plane.change(1, edited=plane.now)
    console.work()
    row = Disabling.objects.get()
    assert (row.state, plane.value(1, "on_off")) == ("dropped", "on")
    assert "Its system may still carry out the order of " in row.error


def test_an_order_that_the_last_look_refused_has_not_left(plane: Plane, console: Console) -> None:
    """So what is then found disabled was somebody else's act."""
    plane.put(1)
    console.settle()
    row = ask_by_person(console.task(1), ANN, "their contract ended", plane.now)
    plane.change(1, vip=True)
    attempt(row.pk, plane.now)
    row.refresh_from_db()
    assert ("is protected" in row.error, row.order_begun_at) == (True, None)
    plane.change(1, on_off="off")
    attempt(row.pk, plane.now + MINUTE)
    row.refresh_from_db()
    assert (row.state, row.error) == ("dropped", "Somebody else has disabled it.")
    assert console.mails() == []


def test_what_its_system_has_enabled_before_the_undoing_is_said(plane: Plane, console: Console) -> None:
    due(plane, console, 1)
    console.work()
    row = ask_undo(console.task(1), ANN, "they called", plane.now)
    plane.change(1, on_off="on")
    attempt(row.pk, plane.now)
    row.refresh_from_db()
    assert (row.state, row.error) == ("undone", "It was enabled at its system already.")
    assert Alert.objects.get(kind="auto_disabled").resolved_because == row.error


@pytest.mark.parametrize(
    "change", [{"edited": NOW + 8 * DAY}, {"vip": True}, {"primary_at": NOW + 8 * DAY}, {"on_off": "off"}]
)
def test_looked_at_again_it_is_left_alone_where_it_changed_meanwhile(
    plane: Plane, console: Console, change: dict[str, Any]
) -> None:
    due(plane, console, 1)
    plane.change(1, **change)
    console.work()
    assert console.disablings() == ["dropped"]
    assert plane.value(1, "switched%by") is None
    assert console.mails("disabled") == []


def test_a_wish_between_asking_and_doing_counts(plane: Plane, console: Console) -> None:
    due(plane, console, 1)
    keep(console.task(1), plane.now + DAY, ANN, "they called", plane.now)
    console.work()
    assert console.disablings() == ["dropped"]
    assert plane.value(1, "on_off") == "on"


def test_at_most_five_a_day_and_two_percent_of_a_scope(plane: Plane, console: Console) -> None:
    numbers = tuple(range(1, 9))
    for number in range(100, 400):
        plane.put(number, primary_at=NOW + 90 * DAY)
    due(plane, console, *numbers)
    assert len(console.disablings()) == 5
    held = TrackedTask.objects.filter(hold="daily_limit").count()
    assert held == 3
    console.work()
    console.jumps(23 * HOUR)
    assert len(console.disablings()) == 5
    console.jumps(HOUR + MINUTE)
    assert len(console.disablings()) == 8


def test_of_a_small_scope_one_a_day(plane: Plane, console: Console) -> None:
    for number in range(100, 110):
        plane.put(number, primary_at=NOW + 90 * DAY)
    due(plane, console, 1, 2, 3)
    assert len(console.disablings()) == 1


def test_enabled_again_by_one_click_undoes_exactly_that(plane: Plane, console: Console) -> None:
    due(plane, console, 1)
    console.work()
    row = ask_undo(console.task(1), ANN, "they called", plane.now)
    assert attempt(row.pk, plane.now)
    assert plane.value(1, "on_off") == "on"
    assert plane.value(1, "switched%by") is None
    assert console.disablings() == ["undone"]
    assert console.alerts() == []
    assert console.mails("enabled") == [("enabled", OWNER)]
    console.jumps(29 * DAY)
    assert console.alerts() == [], "failing counts from when it was enabled again"
    with pytest.raises(UsageError, match="was not disabled from here"):
        ask_undo(console.task(1), ANN, "again", plane.now)


def test_what_somebody_else_has_switched_meanwhile_is_not_undone(plane: Plane, console: Console) -> None:
    due(plane, console, 1)
    console.work()
    plane.change(1, **{"switched%by": "billing"})
    row = ask_undo(console.task(1), ANN, "they called", plane.now)
    attempt(row.pk, plane.now)
    row.refresh_from_db()
    assert "changed 0 rows" in row.error
    assert plane.value(1, "on_off") == "off"


def test_enabled_at_its_system_is_over_silently(plane: Plane, console: Console) -> None:
    due(plane, console, 1)
    console.work()
    plane.change(1, on_off="on")
    console.jumps(MINUTE)
    note_enabled_elsewhere(plane.now)
    assert console.disablings() == ["undone"]
    assert Alert.objects.get(kind="auto_disabled").resolved_silently


def test_a_person_disables_without_warning_and_what_protects_holds(plane: Plane, console: Console) -> None:
    plane.put(1)
    plane.put(2, vip=True)
    console.settle()
    with pytest.raises(UsageError, match="protected"):
        ask_by_person(console.task(2), ANN, "why not", plane.now)
    row = ask_by_person(console.task(1), ANN, "their contract ended", plane.now)
    with pytest.raises(UsageError, match="already"):
        ask_by_person(console.task(1), ANN, "twice", plane.now)
    attempt(row.pk, plane.now)
    assert plane.value(1, "on_off") == "off"
    assert console.mails() == [("disabled", OWNER)]


def test_a_person_does_not_disable_what_is_protected_or_in_an_outage_since(plane: Plane, console: Console) -> None:
    """Looked at again: it became so between the wish and the order."""
    plane.put(1)
    plane.put(2, **{"Data Plane": "us-1"})
    console.settle()
    protected, down = (ask_by_person(console.task(one), ANN, "their contract ended", plane.now) for one in (1, 2))
    plane.change(1, vip=True)
    outage = ScopeOutage.objects.create(
        source="live", scope="us-1", began_at=plane.now, found_at=plane.now, together=5, total=5
    )
    console.work()
    protected.refresh_from_db()
    down.refresh_from_db()
    assert "is protected" in protected.error
    assert "mass outage" in down.error
    assert (plane.value(1, "on_off"), plane.value(2, "on_off")) == ("on", "on")
    ScopeOutage.objects.filter(pk=outage.pk).update(ended_at=plane.now)
    plane.now += DAY
    console.work()
    assert (plane.value(1, "on_off"), plane.value(2, "on_off")) == ("on", "off")


@pytest.mark.parametrize(("ended", "refused"), [(None, True), (23 * HOUR, True), (24 * HOUR, False)])
def test_nor_asks_for_it_in_an_outage_and_the_day_after(
    plane: Plane, console: Console, ended: timedelta | None, refused: bool
) -> None:
    plane.put(1)
    console.settle()
    ended_at = None if ended is None else plane.now - ended
    began = plane.now - 2 * DAY
    ScopeOutage.objects.create(
        source="live", scope="eu-1", began_at=began, found_at=began, ended_at=ended_at, together=5, total=5
    )
    with pytest.raises(UsageError, match="mass outage") if refused else nullcontext():
        ask_by_person(console.task(1), ANN, "their contract ended", plane.now)


def test_asked_for_once_and_whoever_counts_in_its_scope_waits(plane: Plane, console: Console) -> None:
    console.use(replace(plane.source(), most_disabled_percent=100))
    plane.put(2)
    due(plane, console, 1)
    plane.now += MINUTE
    console.look()
    assert console.disablings() == ["asked"]
    with psycopg.connect(plane.store.url, dbname=connection.settings_dict["NAME"]) as another:
        free = "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 8))"
        assert another.execute(free, ("disabling live/eu-1",)).fetchone() == (False,)
        assert another.execute(free, ("disabling live/us-1",)).fetchone() == (True,)


def test_a_source_without_a_way_says_so(plane: Plane, console: Console) -> None:
    console.use(replace(plane.source(), disable=None))
    due(plane, console, 1)
    assert console.task(1).hold == "no_way"
    assert console.disablings() == []


class Receiver:
    """A system that is asked by HTTP. `answers` are the next statuses, 200 when none is left."""

    def __init__(self, act: Any) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.answers: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.asked.append((self.path, self.headers["Idempotency-Key"], body["reason"]))
                status = receiver.answers.pop(0) if receiver.answers else 200
                if status == 200:
                    act(self.path)
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def receiving(act: Any) -> Iterator[Receiver]:
    receiver = Receiver(act)
    thread = threading.Thread(target=receiver.server.serve_forever)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        receiver.server.server_close()
        thread.join()


def test_by_http_with_the_same_key_each_time(plane: Plane, console: Console) -> None:
    def act(path: str) -> None:
        plane.change(1, on_off="off" if path.endswith("disable") else "on")

    with receiving(act) as receiver:
        calls = HttpCalls(f"{receiver.url}/tasks/{{id}}/disable", f"{receiver.url}/tasks/{{id}}/enable")
        console.use(replace(plane.source(), disable=DisableWay(http=calls, read_back=0.0)))
        due(plane, console, 1)
        receiver.answers = [503]
        console.work()
        assert "answered 503" in Disabling.objects.get().error
        plane.now += MINUTE
        console.work()
        assert console.disablings() == ["done"]
        attempt(ask_undo(console.task(1), ANN, "they called", plane.now).pk, plane.now)
        assert plane.value(1, "on_off") == "on"
        reference = Disabling.objects.get().reference
        assert [(path, key) for path, key, _ in receiver.asked] == [
            ("/tasks/1/disable", f"{reference}-disable"),
            ("/tasks/1/disable", f"{reference}-disable"),
            ("/tasks/1/enable", f"{reference}-enable"),
        ]


def test_by_http_reaches_only_what_the_settings_allow(
    plane: Plane, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "OUTGOING_ALLOW", [])
    with receiving(lambda path: None) as receiver:
        calls = HttpCalls(f"{receiver.url}/{{id}}/off", f"{receiver.url}/{{id}}/on")
        console.use(replace(plane.source(), disable=DisableWay(http=calls, read_back=0.0)))
        due(plane, console, 1)
        console.work()
        assert receiver.asked == []
    assert "OPSCONSOLE_OUTGOING_ALLOW" in Disabling.objects.get().error


def test_an_order_that_was_taken_and_not_carried_out_tells_nobody(plane: Plane, console: Console) -> None:
    with receiving(lambda path: None) as receiver:
        calls = HttpCalls(f"{receiver.url}/{{id}}/off", f"{receiver.url}/{{id}}/on")
        console.use(replace(plane.source(), disable=DisableWay(http=calls, read_back=0.0)))
        due(plane, console, 1)
        console.work()
    assert "is not seen disabled yet" in Disabling.objects.get().error
    assert console.mails("disabled") == []
    assert ("abandoned", console.task(1).subject) in console.alerts()
    plane.change(1, on_off="off")
    plane.now += MINUTE
    console.work()
    assert console.disablings() == ["done"]


@pytest.fixture
def slow(plane: Plane, console: Console) -> Iterator[Receiver]:
    """A system that takes orders and has not carried them out when it is looked at the first time. One is due."""
    with receiving(lambda path: None) as receiver:
        calls = HttpCalls(f"{receiver.url}/{{id}}/off", f"{receiver.url}/{{id}}/on")
        console.use(replace(plane.source(), disable=DisableWay(http=calls, read_back=10.0)))
        due(plane, console, 1)
        yield receiver


def test_two_workers_do_it_once(plane: Plane, slow: Receiver) -> None:
    """The second one comes while the order of the first is under way."""
    number = Disabling.objects.get().pk
    second: list[bool] = []

    def meanwhile(_: float) -> None:
        second.append(attempt(number, plane.now))
        plane.change(1, on_off="off")

    assert attempt(number, plane.now, meanwhile)
    assert second == [False]
    assert len(slow.asked) == 1


@pytest.mark.usefixtures("slow")
def test_one_that_was_overtaken_writes_nothing_down(plane: Plane, console: Console) -> None:
    """It took longer than its lease; the next one has found it done, and told so."""
    row = Disabling.objects.get()

    def overtaken_as(on_off: str) -> None:
        def meanwhile(_: float) -> None:
            plane.change(1, on_off=on_off)
            assert attempt(row.pk, plane.now + disabling.LEASE)

        assert attempt(row.pk, plane.now, meanwhile)

    overtaken_as("off")
    row.refresh_from_db()
    assert (row.state, row.done_at) == ("done", plane.now + disabling.LEASE)
    assert Alert.objects.get(kind="auto_disabled").count == 1
    ask_undo(console.task(1), ANN, "they called", plane.now)
    overtaken_as("on")
    row.refresh_from_db()
    assert (row.state, row.undone_at) == ("undone", plane.now + disabling.LEASE)
    acts = AuditEntry.objects.filter(action__in=("tracked_task.disabled", "tracked_task.enabled")).order_by("pk")
    assert list(acts.values_list("action", flat=True)) == ["tracked_task.disabled", "tracked_task.enabled"]


def test_by_a_kafka_message_that_is_keyed_by_the_task(plane: Plane, console: Console) -> None:
    console.use(replace(plane.source(), disable=DisableWay(kafka=KafkaMessages("task-updates"), read_back=0.0)))
    due(plane, console, 1)
    kafka = estate.load(settings.ESTATE).kafka
    consumer = KafkaConsumer(
        bootstrap_servers=list(kafka.bootstrap_servers), api_version=kafka.api_version, consumer_timeout_ms=10_000
    )
    try:
        partitions = [
            TopicPartition("task-updates", number) for number in consumer.partitions_for_topic("task-updates")
        ]
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        for partition, offset in ends.items():
            consumer.seek(partition, offset)
        console.work()
        message = next(iter(consumer))
    finally:
        consumer.close()
    content = json.loads(message.value)
    row = Disabling.objects.get()
    assert (message.key, content["id"], content["action"]) == (b"1", "1", "disable")
    assert content["reference"] == row.reference
    assert "is not seen disabled yet" in row.error
    plane.change(1, on_off="off")
    plane.now += MINUTE
    console.work()
    assert console.disablings() == ["done"]


def test_a_statement_that_changes_two_rows_changes_none(plane: Plane, console: Console) -> None:
    table = f'"{plane.store.schema}"."Live Tasks 100%%"'
    statement = f"UPDATE {table} SET on_off = 'off' WHERE %(id)s <> ''"  # noqa: S608  (the table is ours)
    far = SqlStatements(plane.store.url, statement, "")
    console.use(replace(plane.source(), disable=DisableWay(sql=far, read_back=0.0)))
    plane.put(2)
    due(plane, console, 1)
    console.work()
    assert "changed 2 rows for 1; exactly one is needed" in Disabling.objects.get().error
    assert (plane.value(1, "on_off"), plane.value(2, "on_off")) == ("on", "on")
