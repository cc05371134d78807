"""Alerts are fired, counted, resolved, held back; and the outbox says it to whoever is concerned."""

from __future__ import annotations

import threading
from datetime import time, timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries, Settings

from monitoring.alerts.models import About, Alert, AlertEvent, AlertState, Channel, EventKind, Mute, Notification
from monitoring.alerts.operations.holding import release
from monitoring.alerts.operations.life import Ending, Firing, fire, fire_all, open_subjects, resolve, resolve_all
from monitoring.alerts.operations.notices import oldest_due, queue_notice
from monitoring.alerts.operations.telling import tell
from monitoring.alerts.texts import Text, registered_texts, render
from monitoring.alerts.types import TYPES, Severity
from opsconsole.access import Role
from opsconsole.errors import UsageError
from opsconsole.models import User
from tests.monitoring.alerting import DAY, HOUR, MINUTE, NOW, SECOND, outbox, run_failed, subscribe, subscribed

pytest_plugins = ["tests.fixtures_sync"]

SUBJECT = "job:nightly"


def history(alert: Alert) -> list[str]:
    return list(alert.events.order_by("pk").values_list("kind", flat=True))


def settle(*states: str) -> None:
    """As if the sender had delivered everything that waits."""
    Notification.objects.filter(state__in=states or ("queued",)).update(state="delivered", delivered_at=NOW)


@pytest.mark.django_db
class TestFiring:
    def test_it_opens_once_and_is_counted_then(self) -> None:
        subscribed()
        first = run_failed(seen={"error": "no answer"})
        again = run_failed(now=NOW + MINUTE, seen={"error": "refused"}, title="nightly failed again")
        assert (again.pk, again.count, again.last_at, again.first_at) == (first.pk, 2, NOW + MINUTE, NOW)
        assert (again.seen, again.title) == ({"error": "refused"}, "nightly failed again")
        assert outbox() == [("fired", "team", "queued")]
        assert history(first) == [EventKind.OPENED, EventKind.TOLD]
        assert run_failed(now=NOW).last_at == NOW + MINUTE, "who comes late does not set it back"

    def test_resolved_and_fired_again_is_another_alert(self) -> None:
        first = run_failed()
        assert resolve("run_failed", SUBJECT, now=NOW + MINUTE, because="Run 2 is done.") == first
        assert run_failed(now=NOW + HOUR).pk != first.pk
        assert open_subjects("run_failed") == {SUBJECT}
        assert open_subjects("monitor_down") == set()

    def test_the_database_refuses_a_second_open_one(self) -> None:
        alert = run_failed()
        alert.pk = None
        with pytest.raises(IntegrityError), transaction.atomic():
            alert.save(force_insert=True)

    def test_an_unknown_kind_is_refused_with_those_allowed(self) -> None:
        with pytest.raises(UsageError, match="no alert type 'nonsense'; allowed are abandoned, idle"):
            fire("nonsense", "x", title="x", now=NOW)

    def test_resolving_what_is_not_open_does_nothing(self) -> None:
        assert resolve("run_failed", SUBJECT, now=NOW, because="x") is None
        assert not Notification.objects.exists()

    def test_the_state_reads_the_clock(self) -> None:
        alert = run_failed()
        alert.acknowledged_until = NOW + HOUR
        assert alert.state_at(NOW + HOUR - SECOND) is AlertState.ACKNOWLEDGED
        assert alert.state_at(NOW + HOUR) is AlertState.OPEN
        alert.resolved_at = NOW
        assert alert.state_at(NOW) is AlertState.RESOLVED

    def test_it_rolls_back_with_its_cause(self) -> None:
        subscribed()

        @transaction.atomic
        def fail() -> None:
            run_failed()
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert not Alert.objects.exists()
        assert not Notification.objects.exists()


@pytest.mark.usefixtures("committed")
def test_two_detectors_at_one_deadline_give_one_alert_and_one_message() -> None:
    subscribed()
    ready = threading.Barrier(2)

    def detect() -> None:
        ready.wait(10)
        run_failed()
        connection.close()

    detectors = [threading.Thread(target=detect) for _ in range(2)]
    for one in detectors:
        one.start()
    for one in detectors:
        one.join(20)
    assert Alert.objects.get().count == 2
    assert outbox() == [("fired", "team", "queued")]


@pytest.mark.django_db
class TestWhoIsTold:
    def test_by_type_severity_and_scope(self) -> None:
        subscribed("all")
        subscribed("critical", least=Severity.CRITICAL)
        subscribed("monitors", kinds=["monitor_down"])
        subscribed("europe", scope="eu-*")
        subscribed("one-plane", scope="us-east")
        run_failed(scope="eu-central")
        assert [where for _, where, _ in outbox()] == ["all", "europe"]

    def test_a_channel_with_two_subscriptions_is_told_once(self) -> None:
        subscribe(subscribed(), kinds=["run_failed"])
        run_failed()
        assert outbox() == [("fired", "team", "queued")]

    def test_the_owner_and_named_channels_are_told_too(self) -> None:
        subscribed("nightly-team", kinds=["monitor_down"])
        run_failed(owner="ann@example.com", channels=["nightly-team", "gone"])
        assert outbox() == [("fired", "nightly-team", "queued"), ("fired", "ann@example.com", "queued")]

    def test_a_channel_that_is_off_is_not_told(self) -> None:
        subscribed()
        Channel.objects.update(off_because="The address bounced.")
        run_failed(owner="ann@example.com")
        assert outbox() == [("fired", "ann@example.com", "queued")]

    def test_nobody_subscribed_and_no_owner_operators_are_told_once(self) -> None:
        """Acceptance case 32."""
        bob = User.objects.create_user("bob", "bob@example.com", "a long pass phrase")
        bob.groups.add(*Group.objects.filter(name__in=[Role.OPERATOR.value, Role.ADMINISTRATOR.value]))
        User.objects.create_user("vera", "vera@example.com", "a long pass phrase")
        run_failed(owner="the night shift")
        run_failed(now=NOW + DAY)
        assert outbox() == [("fired", "bob@example.com", "queued")]

    def test_operators_by_settings(self, settings: Settings) -> None:
        settings.ALERT_OPERATORS = ["ops@example.com"]
        run_failed()
        subscribed()
        fire("clock_silent", "clock", title="No clock for 5 min", now=NOW)
        assert outbox() == [
            ("fired", "ops@example.com", "queued"),
            ("fired", "team", "queued"),
            ("fired", "ops@example.com", "queued"),
        ]

    def test_an_abandoned_tasks_owner_hears_by_notices_only(self, settings: Settings) -> None:
        settings.ALERT_OPERATORS = ["ops@example.com"]
        fire("abandoned", "task:1", title="Task 1 fails", now=NOW, owner="ann@example.com")
        assert outbox() == []
        fire("abandoned", "task:2", title="Task 2 fails", now=NOW)
        assert outbox() == [("fired", "ops@example.com", "queued")]

    def test_a_failing_channel_is_not_told_of_itself(self, settings: Settings) -> None:
        settings.ALERT_OPERATORS = ["ops@example.com"]
        team = subscribed()
        subscribed("other")
        fire("delivery_failing", f"channel:{team.pk}", title="Channel team fails", now=NOW)
        fire("delivery_failing", "mail:ops@example.com", title="ops@example.com fails", now=NOW)
        assert [where for _, where, _ in outbox()] == ["other", "ops@example.com", "team", "other"]


@pytest.mark.django_db
class TestQuietHours:
    def test_a_warning_waits_for_the_morning_and_what_is_critical_does_not(self) -> None:
        subscribed(quiet_from=time(22), quiet_to=time(7), zone="Europe/Paris")
        night = NOW.replace(hour=23)  # midnight in Paris
        run_failed(now=night)
        assert Notification.objects.get().due_at == night + timedelta(hours=7)
        fire("worker_missing", "workers", title="No worker", now=night)
        assert Notification.objects.latest("pk").due_at == night

    def test_over_before_the_morning_is_one_message(self) -> None:
        subscribed(quiet_from=time(22), quiet_to=time(7))
        run_failed(now=NOW.replace(hour=23))
        resolve("run_failed", SUBJECT, now=NOW + DAY / 2, because="Run 2 is done.")
        assert outbox() == [("combined", "team", "queued")]
        assert Notification.objects.get().due_at == NOW.replace(day=3, hour=7)

    def test_the_end_of_what_was_told_in_the_evening_waits_too(self) -> None:
        subscribed(quiet_from=time(22), quiet_to=time(7))
        run_failed(now=NOW.replace(hour=21))
        settle()
        resolve("run_failed", SUBJECT, now=NOW.replace(hour=23), because="Run 2 is done.")
        assert Notification.objects.get(about="resolved").due_at == NOW.replace(day=3, hour=7)


@pytest.mark.django_db
class TestResolving:
    def test_before_the_fired_message_left_is_one_combined_message(self) -> None:
        """Acceptance case 15."""
        subscribed()
        alert = run_failed()
        key = Notification.objects.get().key
        resolve("run_failed", SUBJECT, now=NOW + MINUTE, because="Run 2 is done.")
        assert outbox() == [("combined", "team", "queued")]
        row = Notification.objects.get()
        assert row.key == f"{key}:combined"  # not the key of an attempt that may have arrived
        text = render(row.template, row.context)
        assert text.subject == "[Fired and resolved] Run failed: nightly failed"
        assert "over at 2026-03-02 12:01:00 UTC, after 1 min" in text.plain
        assert "the only message" in text.plain
        assert "Run 2 is done." in text.plain
        assert history(alert) == [EventKind.OPENED, EventKind.TOLD, EventKind.RESOLVED]

    @pytest.mark.parametrize("state", ["delivered", "sending"])
    def test_who_was_told_hears_of_the_end(self, state: str) -> None:
        subscribed()
        run_failed()
        Notification.objects.update(state=state)
        resolve("run_failed", SUBJECT, now=NOW + MINUTE, because="Run 2 is done.")
        assert outbox() == [("fired", "team", state), ("resolved", "team", "queued")]

    def test_each_destination_by_itself(self) -> None:
        subscribed("told")
        subscribed("waits")
        run_failed()
        Notification.objects.filter(channel__name="told").update(state="delivered")
        resolve("run_failed", SUBJECT, now=NOW + MINUTE, because="x")
        assert outbox() == [
            ("fired", "told", "delivered"),
            ("combined", "waits", "queued"),
            ("resolved", "told", "queued"),
        ]

    def test_what_was_to_be_said_once_more_is_not_where_the_end_is(self) -> None:
        subscribed()
        alert = run_failed()
        settle()
        tell(alert, About.STILL_OPEN, NOW)
        resolve("run_failed", SUBJECT, now=NOW + MINUTE, because="x")
        assert outbox() == [
            ("fired", "team", "delivered"),
            ("still_open", "team", "withdrawn"),
            ("resolved", "team", "queued"),
        ]

    def test_silently_sends_nothing_and_takes_back_what_waits(self) -> None:
        """Acceptance case 28: what people switch off is not told as a recovery."""
        subscribed("told")
        subscribed("waits")
        run_failed()
        Notification.objects.filter(channel__name="told").update(state="delivered")
        resolve("run_failed", SUBJECT, now=NOW + MINUTE, because="The job was disabled.", silently=True)
        assert outbox() == [("fired", "told", "delivered"), ("fired", "waits", "withdrawn")]

    def test_it_touches_the_open_row_only(self) -> None:
        first = run_failed()
        resolve("run_failed", SUBJECT, now=NOW + MINUTE, because="first")
        run_failed(now=NOW + HOUR)
        resolve("run_failed", SUBJECT, now=NOW + 2 * HOUR, because="second")
        first.refresh_from_db()
        assert (first.resolved_at, first.resolved_because) == (NOW + MINUTE, "first")


@pytest.mark.django_db
class TestMutes:
    def mute(self, kind: str = "run_failed", scope: str = "") -> Mute:
        return Mute.objects.create(
            kind=kind, scope=scope, until=NOW + HOUR, reason="maintenance", created_by="ann", created_at=NOW
        )

    def test_a_muted_alert_opens_and_is_told_when_the_mute_is_over(self) -> None:
        subscribed()
        self.mute()
        alert = run_failed()
        assert (alert.held, outbox()) == ("muted", [])
        assert release(NOW + HOUR - SECOND) == 0
        assert release(NOW + HOUR) == 1
        assert outbox() == [("fired", "team", "queued")]
        assert release(NOW + DAY) == 0

    def test_over_within_the_mute_is_not_told(self) -> None:
        subscribed()
        self.mute()
        run_failed()
        resolve("run_failed", SUBJECT, now=NOW + MINUTE, because="x")
        release(NOW + HOUR)
        assert outbox() == []

    def test_told_before_the_mute_and_over_within_it_is_not_told(self) -> None:
        subscribed()
        run_failed()
        settle()
        self.mute()
        resolve("run_failed", SUBJECT, now=NOW + MINUTE, because="x")
        assert outbox() == [("fired", "team", "delivered")]

    def test_other_kinds_and_scopes_are_told(self) -> None:
        subscribed()
        self.mute(kind="monitor_down")
        self.mute(kind="", scope="eu-*")
        run_failed(scope="us-east")
        run_failed(subject="job:other", scope="eu-west")
        assert outbox() == [("fired", "team", "queued")]


@pytest.mark.django_db
class TestIncidents:
    def fail(self, count: int, start: int = 0, **fields: object) -> list[Alert]:
        return [
            run_failed(f"job:{number}", now=NOW + number * SECOND, scope="plane-a", title=f"job {number}", **fields)
            for number in range(start, start + count)
        ]

    def test_five_at_once_are_one_incident_and_a_digest_follows(self) -> None:
        """Acceptance case 29: one incident, a digest within half an hour, nothing held back for ever."""
        subscribed()
        self.fail(4)
        settle()
        self.fail(3, start=4)
        incident = Alert.objects.get(kind="incident")
        assert incident.members.count() == 7
        assert "5 at once in plane-a" in incident.title
        told = [where for where in outbox() if where[2] == "queued"]
        assert told == [("fired", "team", "queued")]
        settle()
        resolve("run_failed", "job:6", now=NOW + 10 * MINUTE, because="done")
        assert release(NOW + 30 * MINUTE) == 7
        digest = Notification.objects.get(about="digest")
        members = [(row.about, row.alert.title) for row in digest.members.order_by("pk") if row.alert]
        # Those four that had been told already are not told again.
        assert members == [("fired", "job 4"), ("fired", "job 5"), ("combined", "job 6")]

    def test_a_large_scope_needs_a_quarter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("monitoring.alerts.operations.holding.size_of", lambda kind, scope: 40)
        self.fail(9)
        assert not Alert.objects.filter(kind="incident").exists()
        self.fail(1, start=9)
        assert Alert.objects.get(kind="incident").members.count() == 10

    def test_four_are_four(self) -> None:
        subscribed()
        self.fail(4)
        assert [about for about, _, _ in outbox()] == ["fired"] * 4

    def test_what_has_not_left_is_part_of_the_incident(self) -> None:
        subscribed()
        self.fail(5)
        states = [state for about, _, state in outbox() if about == "fired"]
        assert states == ["withdrawn"] * 4 + ["queued"]  # the last one is the incident's own


@pytest.mark.django_db
class TestFlapping:
    def change(self, number: int) -> None:
        at = NOW + number * MINUTE
        if number % 2:
            resolve("run_failed", SUBJECT, now=at, because="x")
        else:
            run_failed(now=at)
        settle()

    def test_more_than_four_changes_an_hour_are_told_once(self) -> None:
        subscribed()
        for number in range(12):
            self.change(number)
        abouts = [about for about, _, _ in outbox()]
        assert abouts == ["fired", "resolved", "fired", "resolved", "flapping"]
        assert release(NOW + HOUR) == 0  # the last change was eleven minutes in
        assert release(NOW + 11 * MINUTE + HOUR) == 1
        assert [about for about, _, _ in outbox()][5:] == ["resolved"]

    def test_calm_and_still_open_is_told(self) -> None:
        subscribed()
        for number in range(5):
            self.change(number)
        release(NOW + 4 * MINUTE + HOUR)
        assert [about for about, _, _ in outbox()][4:] == ["flapping", "still_open"]


@pytest.mark.django_db
class TestNotices:
    def test_one_row_for_a_key(self) -> None:
        values = {"template": "alerts/messages/test", "context": {"channel": "x"}, "to": "ann@example.com"}
        first = queue_notice(key="warn:1", now=NOW, **values)  # type: ignore[arg-type]
        again = queue_notice(key="warn:1", now=NOW + HOUR, **values)  # type: ignore[arg-type]
        assert (first.pk, again.created_at, first.state) == (again.pk, NOW, "queued")
        assert first.delivered_at is None

    def test_without_an_address_it_is_refused(self) -> None:
        with pytest.raises(UsageError, match="no address"):
            queue_notice(key="warn:1", template="x", context={}, to="", now=NOW)

    def test_the_oldest_due(self) -> None:
        assert oldest_due(NOW) is None
        subscribed()
        run_failed()
        assert oldest_due(NOW + 2 * MINUTE) == 2 * MINUTE
        Channel.objects.update(off_because="bounced")  # waits for a person, not for the sender
        assert oldest_due(NOW + 2 * MINUTE) is None


@pytest.mark.django_db
class TestMany:
    """A thousand at once go the way of one."""

    @staticmethod
    def firings(number: int, *, scopes: int = 0) -> list[Firing]:
        """Each in a scope of its own, or spread over so many."""
        return [
            Firing(
                "run_failed", f"job:{at}", f"job {at} failed", seen={"run": at}, scope=f"s-{at % (scopes or number)}"
            )
            for at in range(number)
        ]

    def test_the_statements_do_not_grow(self) -> None:
        subscribed()
        Mute.objects.create(
            kind="run_failed", scope="s-1", until=NOW + DAY, reason="x", created_by="ann", created_at=NOW
        )
        counts = []
        for number in (5, 300):
            with CaptureQueriesContext(connection) as captured:
                assert len(fire_all(self.firings(number), NOW)) == number
            counts.append(len(captured))
            assert Alert.objects.open().filter(held="muted").count() == 1
            assert Notification.objects.filter(about="fired").count() == number - 1
            with CaptureQueriesContext(connection) as captured:
                again = fire_all(self.firings(number), NOW + MINUTE)
            assert {alert.count for alert in again} == {2}
            counts.append(len(captured))
            Alert.objects.all().delete()
        assert counts[:2] == counts[2:]
        assert max(counts) <= 22

    def test_an_outage_of_many_is_one_incident_with_all_of_them(self) -> None:
        subscribed()
        with CaptureQueriesContext(connection) as few:
            fire_all(self.firings(20, scopes=1), NOW)
        Alert.objects.all().delete()
        with CaptureQueriesContext(connection) as many:
            fire_all(self.firings(700, scopes=1), NOW)
        assert Alert.objects.get(kind="incident").members.count() == 700
        assert outbox(state="queued") == [("fired", "team", "queued")]
        assert len(many) == len(few)

    def test_together_or_one_after_the_other_comes_to_the_same(self) -> None:
        def state() -> list[list[object]]:
            alerts = Alert.objects.order_by("kind", "subject", "pk").values_list(
                "kind", "subject", "scope", "held", "count"
            )
            messages = Notification.objects.filter(state="queued").order_by(
                "alert__kind", "alert__subject", "channel", "pk"
            )
            history = AlertEvent.objects.order_by("alert__kind", "alert__subject", "alert", "pk")
            return [
                list(alerts),
                list(messages.values_list("alert__kind", "alert__subject", "about", "channel")),
                list(history.exclude(kind__in=("told", "held")).values_list("alert__subject", "kind", "text")),
            ]

        def begin() -> None:
            Alert.objects.all().delete()
            for number in range(3):  # this one flaps
                fire("run_failed", "job:2", title="job 2 failed", now=NOW + number * SECOND)
                resolve("run_failed", "job:2", now=NOW + number * SECOND, because="done")
            fire("run_failed", "job:3", title="before", now=NOW)

        subscribed()
        subscribed("others", "others@example.com", scope="s-1")
        Mute.objects.create(kind="", scope="s-0", until=NOW + DAY, reason="x", created_by="ann", created_at=NOW)
        wanted = [*self.firings(14, scopes=4), Firing("batch_failed", "batch:1", "Batch 1 failed", scope="s-1")]
        begin()
        for one in wanted:
            fire_all([one], NOW + MINUTE)
        alone = state()
        begin()
        fire_all(wanted, NOW + MINUTE)
        assert state() == alone
        assert {"muted", "flapping", ""} <= {row[3] for row in alone[0]}  # type: ignore[index]

    @staticmethod
    def endings(number: int) -> list[Ending]:
        """One in five was switched off."""
        return [Ending("run_failed", f"job:{at}", f"run {at} is done", silently=at % 5 == 4) for at in range(number)]

    @staticmethod
    def begin(number: int) -> None:
        """Two are muted since, one flaps, one has had a notice, and of every second one the opening has left."""
        Alert.objects.all().delete()
        Mute.objects.all().delete()
        for at in range(3):
            fire("run_failed", "job:2", title="job 2 failed", now=NOW + at * SECOND)
            resolve("run_failed", "job:2", now=NOW + at * SECOND, because="done")
        fire_all(TestMany.firings(number), NOW + MINUTE)
        for at in range(0, number, 2):
            Notification.objects.filter(alert__subject=f"job:{at}", about="fired").update(state="delivered")
        for at in range(2):
            Mute.objects.create(kind="", scope=f"s-{at}", until=NOW + DAY, reason="x", created_by="ann", created_at=NOW)
        about = Alert.objects.get(subject="job:3")
        queue_notice(key="n", template="x", context={}, to="ann@example.com", now=NOW, alert=about)

    def test_the_statements_of_their_ends_do_not_grow(self) -> None:
        subscribed()
        subscribed("others", "others@example.com")
        counts = []
        for number in (10, 300):
            self.begin(number)
            with CaptureQueriesContext(connection) as captured:
                assert len(resolve_all(self.endings(number), NOW + HOUR)) == number
            assert not Alert.objects.open().exists()
            counts.append(len(captured))
            with CaptureQueriesContext(connection) as captured:
                assert resolve_all(self.endings(number), NOW + HOUR) == []
            counts.append(len(captured))
        assert counts[:2] == counts[2:]
        assert max(counts) <= 16
        assert resolve_all([], NOW) == []

    def test_ended_together_or_one_after_the_other_comes_to_the_same(self) -> None:
        def state() -> list[list[object]]:
            alerts = Alert.objects.order_by("subject", "pk").values_list(
                "subject", "resolved_at", "resolved_because", "resolved_silently", "held", "held_until"
            )
            messages = Notification.objects.order_by("alert__subject", "pk")
            history = AlertEvent.objects.order_by("alert__subject", "pk")
            contexts = [row.context | {"alert": None} for row in messages if row.about in ("combined", "resolved")]
            return [
                list(alerts),
                list(messages.values_list("alert__subject", "about", "state", "channel", "due_at")),
                list(history.values_list("alert__subject", "kind", "text", "at")),
                [row.key.rpartition(":")[2] for row in messages if row.about == "combined"],
                contexts,
            ]

        subscribed()
        subscribed("others", "others@example.com", quiet_from=NOW.time(), quiet_to=(NOW + 3 * HOUR).time())
        self.begin(15)
        for one in self.endings(15):
            resolve_all([one], NOW + HOUR)
        alone = state()
        self.begin(15)
        twice = Ending("run_failed", "job:3", "said twice, the first time counts")
        assert [one.subject for one in resolve_all([*self.endings(15), twice], NOW + HOUR)] == [
            f"job:{at}" for at in range(15)
        ]
        assert state() == alone
        abouts = {(row[1], row[2]) for row in alone[1]}  # type: ignore[index]
        wanted = {("combined", "queued"), ("resolved", "queued"), ("fired", "withdrawn"), ("notice", "withdrawn")}
        assert wanted <= abouts


@pytest.mark.django_db
def test_firing_costs_as_much_with_many_alerts(django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    subscribed()
    for number in range(30):
        fire("consumer_lag", f"group:{number}", title="lag", now=NOW - DAY)
    with django_assert_max_num_queries(20):
        fire("consumer_lag", "group:new", title="lag", now=NOW)
    assert AlertEvent.objects.filter(kind=EventKind.OPENED).count() == 31


@pytest.mark.parametrize("text", registered_texts(), ids=lambda text: text.name)
def test_each_text_has_three_parts(text: Text) -> None:
    rendered = render(text.template, text.example)
    assert rendered.subject
    assert rendered.plain.strip()
    assert rendered.html.startswith("<")
    assert "{" not in rendered.subject + rendered.plain + rendered.html


def test_each_type_says_what_to_do() -> None:
    assert [one.name for one in TYPES.values() if not one.advice.endswith(".") or not one.label] == []
    assert {"abandoned", "incident", "delivery_failing", "clock_silent"} <= set(TYPES)
