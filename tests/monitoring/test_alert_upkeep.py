"""What time does to alerts: escalation, acknowledgements that end, old rows. Services, and the command."""

from __future__ import annotations

import json
from datetime import time, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from pytest_django import Settings

from monitoring.alerts.models import Channel, ChannelKind, Notification
from monitoring.alerts.operations import acting, delivery
from monitoring.alerts.operations.delivery import deliver
from monitoring.alerts.operations.life import fire, resolve
from monitoring.alerts.operations.notices import queue_notice
from monitoring.alerts.operations.upkeep import escalate, remind
from monitoring.alerts.types import Severity
from opsconsole.audit import Actor, Door
from tests.monitoring.alerting import DAY, HOUR, MINUTE, NOW, SECOND, channel, outbox, run_failed, subscribe, subscribed
from tests.monitoring.receivers import Mood, receiver
from tests.outgoing import Names

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.django_db

ANN = Actor("ann", Door.PAGE)


class TestEscalation:
    def test_what_nobody_acknowledges_goes_further_once(self) -> None:
        subscribed("team")
        subscribed("boss", after=30 * MINUTE)
        run_failed()
        assert outbox() == [("fired", "team", "queued")]
        assert escalate(NOW + 30 * MINUTE - SECOND) == 0
        assert escalate(NOW + 30 * MINUTE) == 1
        assert escalate(NOW + HOUR) == 0
        assert outbox() == [("fired", "team", "queued"), ("escalated", "boss", "queued")]

    def test_acknowledged_it_waits_until_that_is_over(self) -> None:
        subscribed("boss", after=30 * MINUTE)
        alert = run_failed()
        acting.acknowledge(alert, ANN, NOW + 2 * HOUR, "", NOW + MINUTE)
        assert escalate(NOW + HOUR) == 0
        assert escalate(NOW + 2 * HOUR) == 1

    def test_resolved_and_held_back_ones_go_nowhere(self) -> None:
        subscribed("boss", after=30 * MINUTE)
        run_failed()
        resolve("run_failed", "job:nightly", now=NOW + MINUTE, because="done")
        acting.mute("monitor_down", "", NOW + DAY, ANN, "maintenance", NOW)
        fire("monitor_down", "monitor:1", title="down", now=NOW)
        assert escalate(NOW + HOUR) == 0

    def test_by_severity_and_scope_and_quiet_hours(self) -> None:
        subscribed("boss", after=MINUTE, least=Severity.CRITICAL, scope="eu-*")
        subscribed("night", after=MINUTE, scope="us-*", quiet_from=time(12), quiet_to=time(14))
        run_failed(scope="eu-west")
        fire("worker_missing", "workers", title="none", now=NOW, scope="eu-west")
        run_failed("job:other", scope="us-east")
        escalate(NOW + HOUR)
        rows = Notification.objects.filter(about="escalated").order_by("pk")
        assert [(row.channel.name, row.due_at) for row in rows if row.channel] == [
            ("boss", NOW + HOUR),
            ("night", NOW + 2 * HOUR),
        ]


class TestAcknowledgements:
    def test_what_is_still_open_at_the_end_is_told_again_each_time(self) -> None:
        subscribed()
        alert = run_failed()
        for hours in (1, 3):
            acting.acknowledge(alert, ANN, NOW + hours * HOUR, "", NOW + MINUTE)
            assert remind(NOW + hours * HOUR - SECOND) == 0
            assert remind(NOW + hours * HOUR) == 1
            assert remind(NOW + hours * HOUR) == 0
        assert [about for about, _, _ in outbox()] == ["fired", "still_open", "still_open"]


class TestMutes:
    def test_a_mute_leaves_an_owners_notice_alone_and_the_end_of_its_alert_takes_it_back(self) -> None:
        subscribed()
        alert = fire("abandoned", "task:1", title="fails", now=NOW, owner="ann@example.com")
        text = {"template": "alerts/messages/test", "context": {}}
        queue_notice(key="warn", to="ann@example.com", now=NOW, alert=alert, **text)  # type: ignore[arg-type]
        acting.mute("abandoned", "", NOW + DAY, ANN, "x", NOW)
        assert outbox() == [("fired", "team", "withdrawn"), ("notice", "ann@example.com", "queued")]
        resolve("abandoned", "task:1", now=NOW, because="healthy again")
        assert outbox()[1] == ("notice", "ann@example.com", "withdrawn")


def test_a_round_that_is_full_leaves_the_rest_as_it_was(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their turn did not come: that is no attempt, and costs no backoff."""
    monkeypatch.setattr(delivery, "AT_ONCE", 1)
    monkeypatch.setattr(delivery, "PATIENCE", 0.3)
    with receiver() as slow:
        slow.mood = Mood.SLOW
        subscribe(channel("slow", slow.address, ChannelKind.WEBHOOK))
        subscribed("waits")
        run_failed()
        assert deliver(NOW) == 0
        waits = Notification.objects.get(channel__name="waits")
        assert (waits.state, waits.attempts, waits.due_at) == ("queued", 0, NOW)


def test_a_service_is_reached_through_apprise(settings: Settings) -> None:
    """Gotify, which people run themselves, on loopback: the library's own way, up to the wire."""
    with receiver() as gotify:
        address = f"gotify://{gotify.address.removeprefix('http://').removesuffix('/hook')}/a-token"
        subscribe(channel("chat", address, ChannelKind.SERVICE))
        run_failed(seen={"error": "no answer"})
        assert deliver(NOW) == 1
        ((_, body),) = gotify.posts
        assert "Run failed: nightly failed" in body["title"]
        assert "no answer" in body["message"]
        gotify.mood = Mood.REFUSES
        run_failed("job:other")
        assert deliver(NOW + SECOND) == 0
        row = Notification.objects.latest("pk")
        assert row.state == "queued"
        assert "did not take it" in row.last_error
        assert "a-token" not in row.last_error


def test_a_service_connects_to_nothing_that_is_refused_although_its_name_resolved_otherwise_before(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.OUTGOING_ALLOW = []
    with receiver() as gotify:
        names = Names({"moves.example": ["93.184.216.34", "127.0.0.1"]})
        names.install(monkeypatch)
        port = gotify.address.rpartition(":")[2].removesuffix("/hook")
        subscribe(channel("chat", f"gotify://moves.example:{port}/a-token", ChannelKind.SERVICE))
        run_failed()
        assert deliver(NOW) == 0
        assert names.asked == ["moves.example", "moves.example"]
        assert gotify.posts == []
    assert "127.0.0.1 is on a loopback" in Notification.objects.get().last_error


class TestCommand:
    def run(self, *arguments: str) -> tuple[int, dict[str, object]]:
        out = StringIO()
        status = 0
        try:
            call_command("channels", *arguments, "--json", stdout=out, stderr=StringIO())
        except SystemExit as error:
            status = int(str(error.code))
        return status, json.loads(out.getvalue().splitlines()[-1])

    def test_added_listed_and_tested(self) -> None:
        assert self.run("add", "On call", "email", "on-call@example.com")[0] == 0
        assert self.run("list")[1] == {"channels": [{"name": "On call", "kind": "email", "state": "on"}]}
        assert self.run("test", "On call")[0] == 0
        run_failed()
        assert outbox() == [("test", "On call", "queued"), ("fired", "On call", "queued")]

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (("add", "On call", "email", "nobody"), "no e-mail address"),
            (("add", "On call"), "Give a name"),
            (("test", "Nobody"), "no channel"),
        ],
    )
    def test_what_cannot_be_done_is_said_with_exit_status_2(self, arguments: tuple[str, ...], says: str) -> None:
        status, answer = self.run(*arguments)
        assert status == 2
        assert says in str(answer["error"])
        assert not Channel.objects.exists()


def test_times_are_those_promised() -> None:
    assert timedelta(seconds=60) == delivery.LEASE
    assert delivery.LEASE.total_seconds() > delivery.PATIENCE
