"""Pages of alerts and channels: what they show, who may, twice in a row, and mistakes kept as they were typed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from monitoring.alerts.models import Alert, Channel, ChannelKind, Mute, Notification, Subscription
from monitoring.alerts.operations.holding import release
from monitoring.alerts.operations.life import fire, resolve
from monitoring.alerts.readings import open_alerts
from monitoring.alerts.types import Severity
from opsconsole.access import Role
from opsconsole.models import AuditEntry, RestoreHold
from opsconsole.overview import Reading
from opsconsole.tones import Tone
from tests.monitoring.alerting import HOUR, MINUTE, NOW, channel, outbox, run_failed, subscribed
from tests.web.sync_rows import HOSTILE, MOST_QUERIES, client_of

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.usefixtures("committed", "use_estate")

SECRET = "https://hooks.example.com/services/T0000/very-secret"
QUIET = {"quiet_from": "", "quiet_to": "", "zone": "UTC"}


def page(address: str, role: Role = Role.VIEWER) -> str:
    answer = client_of(role).get(address)
    assert answer.status_code == 200, answer.content.decode()
    return answer.content.decode()


class TestList:
    def test_open_ones_with_what_they_are_in_few_queries(self) -> None:
        now = timezone.now()
        subscribed()
        for number in range(20):
            fire("consumer_lag", f"group:{number}", title=f"lag {number}", now=now - number * MINUTE, scope="eu")
        run_failed(now=now - 3 * HOUR)
        resolve("run_failed", "job:nightly", now=now, because="done")
        client = client_of(Role.VIEWER)
        with CaptureQueriesContext(connection) as queries:
            shown = client.get("/alerts/?sort=-first_at").content.decode()
        assert len(queries) <= MOST_QUERIES
        assert shown.index("lag 0") < shown.index("lag 19")
        assert "nightly failed" not in shown
        assert "nightly failed" in page("/alerts/?state=resolved")
        assert "lag 3" not in page("/alerts/?state=all&kind=run_failed")

    def test_the_worst_comes_first_however_old_it_is(self) -> None:
        now = timezone.now()
        for title, severity in (("a", Severity.CRITICAL), ("b", Severity.INFO), ("c", Severity.WARNING)):
            fire("consumer_lag", f"group:{title}", title=f"lag {title}", now=now, severity=severity)
        shown = page("/alerts/")
        assert shown.index("lag a") < shown.index("lag c") < shown.index("lag b")

    def test_a_wrong_filter_is_400(self) -> None:
        assert client_of(Role.VIEWER).get("/alerts/?state=nonsense").status_code == 400

    def test_nothing_of_it_is_markup(self) -> None:
        alert = run_failed(title=HOSTILE, scope=HOSTILE, seen={"error": HOSTILE})
        for address in ("/alerts/", f"/alerts/{alert.pk}/"):
            assert HOSTILE not in page(address)


class TestOne:
    def test_it_says_since_when_how_often_what_was_seen_and_who_was_told(self) -> None:
        subscribed("on call")
        alert = run_failed(seen={"error": "no answer", "next": "It is tried again."}, link="/schedules/")
        run_failed(now=NOW + HOUR, seen={"error": "refused"})
        shown = page(f"/alerts/{alert.pk}/")
        for part in ("2026-03-02 12:00:00", "refused", "Fired: on call", "Run failed", 'href="/schedules/"'):
            assert part in shown
        assert "acknowledge/" not in shown

    def test_acknowledged_noted_and_taken_back(self) -> None:
        alert, client = run_failed(now=timezone.now()), client_of(Role.OPERATOR)
        address = f"/alerts/{alert.pk}/"
        sent = {"span": "2h", "note": "I am on it."}
        assert client.post(f"{address}acknowledge/", sent).headers["Location"] == address
        assert client.post(f"{address}note/", {"note": "The source was restarted."}).status_code == 302
        shown = page(address)
        assert "I am on it." in shown
        assert "The source was restarted." in shown
        assert "Acknowledged" in shown
        assert client.post(f"{address}unacknowledge/").status_code == 302
        alert.refresh_from_db()
        assert alert.acknowledged_until is None
        actions = set(AuditEntry.objects.values_list("action", flat=True))
        assert actions == {"alert.acknowledged", "alert.annotated", "alert.unacknowledged"}

    @pytest.mark.parametrize(("span", "says"), [("", "required"), ("soon", "soon"), ("200d", "90d")])
    def test_a_wrong_span_is_said_and_the_note_kept(self, span: str, says: str) -> None:
        alert = run_failed()
        answer = client_of(Role.OPERATOR).post(f"/alerts/{alert.pk}/acknowledge/", {"span": span, "note": "mine"})
        assert answer.status_code == 400
        assert says in answer.content.decode()
        assert "mine" in answer.content.decode()

    def test_what_is_resolved_cannot_be_acknowledged(self) -> None:
        alert = run_failed()
        resolve("run_failed", "job:nightly", now=NOW, because="done")
        answer = client_of(Role.OPERATOR).post(f"/alerts/{alert.pk}/acknowledge/", {"span": "2h"})
        assert answer.status_code == 400
        assert "resolved already" in answer.content.decode()


class TestWhoMay:
    @pytest.mark.parametrize("act", ["acknowledge/", "note/", "unacknowledge/"])
    def test_a_viewer_changes_nothing(self, act: str) -> None:
        alert = run_failed()
        assert client_of(Role.VIEWER).post(f"/alerts/{alert.pk}/{act}", {"span": "2h", "note": "x"}).status_code == 403
        assert not AuditEntry.objects.exists()

    @pytest.mark.parametrize("act", ["edit/", "on/", "off/", "test/", "subscribe/"])
    def test_channels_are_the_administrators(self, act: str) -> None:
        made = channel()
        assert client_of(Role.OPERATOR).post(f"/alerts/channels/{made.pk}/{act}").status_code == 403

    @pytest.mark.parametrize("act", ["note/", "unacknowledge/"])
    def test_changes_are_posts(self, act: str) -> None:
        assert client_of(Role.OPERATOR).get(f"/alerts/{run_failed().pk}/{act}").status_code == 405


class TestMutes:
    def test_muted_from_the_page_of_an_alert_and_ended_early(self) -> None:
        subscribed()
        run_failed(now=timezone.now(), scope="eu")
        client = client_of(Role.OPERATOR)
        assert 'value="eu"' in client.get("/alerts/mutes/add/?kind=run_failed&scope=eu").content.decode()
        sent = {"kind": "run_failed", "scope": "eu", "span": "1h", "reason": "maintenance"}
        assert client.post("/alerts/mutes/add/", sent).status_code == 302
        assert outbox() == [("fired", "team", "withdrawn")]
        assert "maintenance" in page("/alerts/mutes/")
        client.post(f"/alerts/mutes/{Mute.objects.get().pk}/lift/")
        assert release(timezone.now()) == 1
        assert outbox()[-1] == ("fired", "team", "queued")
        assert (
            "over already" in client.post(f"/alerts/mutes/{Mute.objects.get().pk}/lift/", follow=True).content.decode()
        )


class TestChannels:
    def client(self) -> Client:
        return client_of(Role.ADMINISTRATOR)

    def add(self, **fields: str) -> Any:
        return self.client().post("/alerts/channels/add/", {"name": "On call", "kind": "email"} | fields)

    def test_added_subscribed_tested_and_changed(self) -> None:
        answer = self.add(address="on-call@example.com")
        made = Channel.objects.get()
        assert answer.headers["Location"] == f"/alerts/channels/{made.pk}/"
        client, address = self.client(), f"/alerts/channels/{made.pk}/"
        sent = {"kinds": ["run_failed"], "least": "warning", "scope": "eu-*", "after": "30m"} | QUIET
        assert client.post(f"{address}subscribe/", sent).status_code == 302
        shown = page(address)
        assert "Run failed, from warning on, in eu-*, when nobody acknowledges it within 30 min" in shown
        assert client.post(f"{address}test/").status_code == 302
        row = Notification.objects.get()
        assert (row.about, row.to) == ("test", "on-call@example.com")
        assert "Test of the channel On call" in page(f"/alerts/outbox/{row.pk}/")
        assert client.post(f"{address}edit/", {"name": "Night shift", "address": ""}).status_code == 302
        made.refresh_from_db()
        assert (made.name, made.address) == ("Night shift", "on-call@example.com")
        client.post(f"/alerts/subscriptions/{Subscription.objects.get().pk}/remove/")
        assert not Subscription.objects.exists()
        assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True)) == [
            "channel.added",
            "subscription.added",
            "channel.tested",
            "channel.changed",
            "subscription.removed",
        ]

    @pytest.mark.parametrize(
        ("kind", "address", "says"),
        [
            ("email", "team at example", "no e-mail address"),
            ("webhook", "ftp://example.com/", "http:// or https://"),
            ("webhook", "http://127.0.0.1:8000/secret", "private"),
            ("webhook", "http://[::ffff:10.0.0.1]/secret", "private"),
            ("webhook", "http://169.254.169.254/latest/meta-data/secret", "private"),
            ("webhook", "http://2130706433/secret", "private"),
            ("service", "json://localhost/secret", "cannot be used"),
            ("service", "file:///secret", "no address of a service"),
            ("service", "nonsense-secret", "no address of a service"),
            ("service", "gotify://10.0.0.1/secret", "private"),
            ("service", "workflows://10.0.0.1:443/secret1a/signature/", "private"),
            ("webhook", "env:SECRET_KEY", "ALERT_"),
            ("webhook", "env:ALERT_NOT_THERE", "no variable ALERT_NOT_THERE"),
        ],
    )
    def test_what_cannot_be_reached_or_may_not_is_refused_with_the_reason(
        self, kind: str, address: str, says: str, caplog: pytest.LogCaptureFixture, settings: Settings
    ) -> None:
        settings.OUTGOING_ALLOW = []
        answer = self.add(kind=kind, address=address)
        assert answer.status_code == 400
        assert says in answer.content.decode()
        assert not Channel.objects.exists()
        assert "secret" not in caplog.text.replace("/secret/", "")

    def test_a_private_address_is_taken_where_the_settings_allow_it(self, settings: Settings) -> None:
        assert self.add(kind="webhook", address="http://127.0.0.1:1/hook").status_code == 302

    def test_a_name_is_taken_once(self) -> None:
        channel("On call")
        answer = self.add(address="x@example.com")
        assert "There is a channel &#x27;On call&#x27; already" in answer.content.decode()

    def test_no_page_and_no_audit_row_shows_a_secret_address(self) -> None:
        made = channel("hook", SECRET, ChannelKind.WEBHOOK)
        chat = channel("chat", "slack://T1JJ3T3L2/A1BRTD4JD/very-secret", ChannelKind.SERVICE)
        Subscription.objects.create(channel=made)
        alert = run_failed()
        client = self.client()
        client.post(f"/alerts/channels/{made.pk}/test/")
        client.post(f"/alerts/channels/{made.pk}/off/", {"reason": "not now"})
        addresses = [
            "/alerts/channels/",
            "/alerts/outbox/",
            f"/alerts/{alert.pk}/",
            *(f"/alerts/channels/{one.pk}/{part}" for one in (made, chat) for part in ("", "edit/", "off/", "on/")),
            *(f"/alerts/outbox/{row.pk}/" for row in Notification.objects.all()),
        ]
        for address in addresses:
            assert "very-secret" not in page(address, Role.ADMINISTRATOR), address
        assert "https://hooks.example.com/…" in page("/alerts/channels/")
        assert "very-secret" not in str(list(AuditEntry.objects.values()))

    def test_switched_off_twice_is_said(self) -> None:
        made, client = channel(), self.client()
        assert client.post(f"/alerts/channels/{made.pk}/off/", {"reason": "not now"}).status_code == 302
        answer = client.post(f"/alerts/channels/{made.pk}/off/", {"reason": "again"})
        assert "off already" in answer.content.decode()
        assert client.post(f"/alerts/channels/{made.pk}/on/", {"reason": "now"}).status_code == 302

    @pytest.mark.parametrize(
        "wrong", [{"zone": "Mars/Olympus"}, {"quiet_from": "22:00"}, {"kinds": ["nonsense"]}, {"after": "1s"}]
    )
    def test_a_wrong_subscription_is_400(self, wrong: dict[str, Any]) -> None:
        made = channel()
        sent = {"least": "info", "scope": "", "after": ""} | QUIET | wrong
        assert self.client().post(f"/alerts/channels/{made.pk}/subscribe/", sent).status_code == 400


class TestOutbox:
    def test_dead_letters_and_again(self) -> None:
        subscribed()
        run_failed()
        Notification.objects.update(state="dead", last_error="451 try later", ended_at=NOW)
        client = client_of(Role.OPERATOR)
        assert "451 try later" in client.get("/alerts/outbox/dead/").content.decode()
        number = Notification.objects.get().pk
        client.post(f"/alerts/outbox/{number}/again/")
        assert outbox() == [("fired", "team", "queued")]
        answer = client.post(f"/alerts/outbox/{number}/again/", follow=True)
        assert "was not given up" in answer.content.decode()

    def test_the_list_is_flat_with_many(self) -> None:
        subscribed()
        for number in range(30):
            fire("consumer_lag", f"group:{number}", title="lag", now=NOW)
        client = client_of(Role.VIEWER)
        with CaptureQueriesContext(connection) as queries:
            assert client.get("/alerts/outbox/?state=queued").status_code == 200
        assert len(queries) <= MOST_QUERIES


def test_each_text_is_previewed_in_both_parts() -> None:
    shown = page("/alerts/texts/")
    assert shown.count("/alerts/texts/alerts-") >= 8
    text = page("/alerts/texts/alerts-alert-combined/")
    assert "the only message about it" in text
    assert "<h2>nightly-check failed</h2>" in text
    assert client_of(Role.VIEWER).get("/alerts/texts/nonsense/").status_code == 404


def overview(now: datetime) -> Reading:
    reading = open_alerts(now)
    assert reading is not None
    return reading


class TestOverview:
    def test_it_says_what_nobody_has(self) -> None:
        now = timezone.now()
        assert overview(now).tone is Tone.FINE
        alert = run_failed(now=now)
        assert overview(now).tone is Tone.WAITING
        fire("worker_missing", "workers", title="No worker", now=now)
        assert (overview(now).tone, overview(now).shown) == (Tone.PROBLEM, "2")
        Alert.objects.update(acknowledged_until=now + timedelta(hours=1))
        assert overview(now).tone is Tone.FINE
        assert alert.pk

    def test_messages_that_do_not_leave_are_a_problem(self) -> None:
        subscribed()
        run_failed()
        Notification.objects.update(attempts=3)
        assert "cannot be delivered" in overview(NOW + HOUR).sentence
        Channel.objects.update(off_because="bounced")
        Notification.objects.all().delete()
        assert "channel is off" in overview(NOW + HOUR).sentence


def test_the_outbox_says_that_nothing_leaves_after_a_restore() -> None:
    assert "after_restore" not in page("/alerts/outbox/")
    now = timezone.now()
    RestoreHold.objects.create(made_by="ann", reason="x", lost_since=now - HOUR, lost_until=now)
    text = page("/alerts/outbox/")
    assert "The console's database was restored" in text.replace("&#x27;", "'")
    assert "manage.py after_restore --release" in text
    reading = overview(now)
    assert (reading.tone, "nothing leaves until somebody has looked" in reading.sentence) == (Tone.PROBLEM, True)
