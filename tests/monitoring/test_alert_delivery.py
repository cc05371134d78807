"""The outbox against a real mail server and a real webhook: everything arrives, at least once, under one key."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from pytest_django import Settings

from monitoring.alerts import health
from monitoring.alerts.models import Alert, Channel, ChannelKind, Notification
from monitoring.alerts.operations import acting, channels, delivery
from monitoring.alerts.operations.delivery import LEASE, claim, deliver
from monitoring.alerts.operations.life import fire, resolve
from monitoring.alerts.operations.notices import oldest_due, queue_notice
from monitoring.alerts.operations.settling import settle_delivered, settle_failed, settle_untried
from monitoring.alerts.sending import Failure
from monitoring.alerts.silence import tell_of_silence
from opsconsole.audit import Actor, Door
from opsconsole.errors import UsageError
from opsconsole.models import AuditEntry
from tests.monitoring.alerting import DAY, HOUR, MINUTE, NOW, SECOND, channel, outbox, run_failed, subscribe, subscribed
from tests.monitoring.receivers import MailServer, Mood, Receiver, receiver

pytest_plugins = ["tests.fixtures_sync", "tests.fixtures_mail"]
pytestmark = pytest.mark.django_db

ANN = Actor("ann", Door.PAGE)


@pytest.fixture
def hook(settings: Settings) -> Iterator[Receiver]:
    with receiver() as one:
        yield one


def hooked(hook: Receiver, **fields: Any) -> Channel:
    made = channel("hook", hook.address, ChannelKind.WEBHOOK)
    subscribe(made, **fields)
    return made


def run_until_sent(now: datetime, rounds: int = 200) -> datetime:
    """The clock's rounds, each a second later, until nothing is due; then on to what is due next."""
    for _ in range(rounds):
        deliver(now)
        left = Notification.objects.waiting().filter(digest__isnull=True).order_by("due_at").first()
        if left is None:
            return now
        now = max(now + SECOND, left.due_at)
    raise AssertionError("it goes on for ever")


class TestMail:
    def test_it_arrives_with_both_parts_and_its_key(self, mail: MailServer) -> None:
        subscribed()
        run_failed(seen={"error": "<b>no answer</b>"}, link="/schedules/runs/7/")
        assert deliver(NOW) == 1
        (sent,) = mail.mails
        assert (sent["To"], sent["Auto-Submitted"]) == ("team@example.com", "auto-generated")
        assert sent["Subject"] == "[Warning] Run failed: nightly failed"
        plain, html = (part.get_payload(decode=True).decode() for part in sent.get_payload())  # type: ignore[union-attr]
        assert "Error: <b>no answer</b>" in plain
        assert "since 2026-03-02 12:00:00 UTC" in plain
        assert "https://console.example.com/schedules/runs/7/" in plain
        assert "&lt;b&gt;no answer" in html
        row = Notification.objects.get()
        assert mail.keys == [row.key]
        assert (row.state, row.delivered_at, row.attempts) == ("delivered", NOW, 1)
        assert deliver(NOW + HOUR) == 0

    def test_a_server_that_dies_after_taking_it_gets_it_again_with_the_same_key(self, mail: MailServer) -> None:
        subscribed()
        run_failed()
        mail.mood = Mood.DIES
        assert deliver(NOW) == 0
        row = Notification.objects.get()
        assert row.state == "queued"
        assert row.due_at >= NOW + MINUTE
        assert "did not take it" in row.last_error
        mail.mood = Mood.TAKES
        assert deliver(row.due_at) == 1
        assert mail.keys == [row.key] * 2
        assert len({sent["Message-ID"] for sent in mail.mails}) == 1

    def test_a_slow_server_fails_the_attempt_and_holds_nobody_else_up(
        self, mail: MailServer, hook: Receiver, settings: Settings
    ) -> None:
        settings.EMAIL_TIMEOUT = 1
        subscribed()
        hooked(hook)
        mail.mood = Mood.SLOW
        run_failed()
        assert deliver(NOW) == 1
        assert outbox() == [("fired", "team", "queued"), ("fired", "hook", "delivered")]

    def test_two_hours_of_refusals_and_then_it_is_delivered(self, mail: MailServer) -> None:
        """Acceptance case 13."""
        subscribed()
        run_failed()
        mail.mood = Mood.REFUSES
        now, waits = NOW, []
        while now < NOW + 2 * HOUR:
            deliver(now)
            due = Notification.objects.get().due_at
            waits.append(due - now)
            now = due
        assert waits[:5] == sorted(waits[:5])
        assert MINUTE <= waits[0] < 5 * MINUTE < max(waits) <= HOUR
        mail.mood = Mood.TAKES
        assert deliver(now) == 1
        assert not Alert.objects.filter(kind="delivery_failing").exists()

    def test_a_day_of_refusals_is_given_up_and_operators_hear_of_it(
        self, mail: MailServer, hook: Receiver, settings: Settings
    ) -> None:
        settings.ALERT_OPERATORS = ["ops@example.com"]
        team = subscribed(kinds=["run_failed"])
        hooked(hook, kinds=["delivery_failing"])
        run_failed()
        mail.mood = Mood.REFUSES
        now = NOW
        while (row := Notification.objects.get(channel=team)).state == "queued":
            now = row.due_at
            deliver(now)
        assert NOW + DAY <= now < NOW + DAY + MINUTE
        failing = Alert.objects.get(kind="delivery_failing")
        assert failing.subject == f"channel:{team.pk}"
        assert outbox(alert=failing) == [("fired", "hook", "delivered"), ("fired", "ops@example.com", "queued")]
        assert "451" in hook.posts[0][1]["text"]
        # The operators' mail fails, too, and that ends: nobody is told by the address that fails.
        later = run_until_sent(now + 2 * SECOND)
        assert set(Alert.objects.filter(kind="delivery_failing").values_list("subject", flat=True)) == {
            f"channel:{team.pk}",
            "mail:ops@example.com",
        }
        # Sent again, with the key it had; the delivery resolves the alert.
        mail.mood = Mood.TAKES
        row = Notification.objects.get(channel=team)
        acting.send_again(row, ANN, later)
        deliver(later)
        assert mail.keys == [row.key]
        failing.refresh_from_db()
        assert failing.resolved_at == later
        with pytest.raises(UsageError, match="was not given up"):
            acting.send_again(row, ANN, later)

    def test_a_permanent_bounce_disables_the_channel_and_tells_the_operators(
        self, mail: MailServer, settings: Settings
    ) -> None:
        """Acceptance case 14."""
        settings.ALERT_OPERATORS = ["ops@example.com"]
        team = subscribed()
        run_failed()
        run_failed("job:other")
        mail.mood = Mood.BOUNCES
        assert deliver(NOW) == 0
        team.refresh_from_db()
        assert "550 5.1.1 no such mailbox" in team.off_because
        assert AuditEntry.objects.get(action="channel.switched_off").actor == "clock"
        mail.mood = Mood.TAKES
        assert deliver(NOW + SECOND) == 1
        assert [sent["To"] for sent in mail.mails] == ["ops@example.com"]
        assert "bounced and is off" in mail.mails[0]["Subject"]
        # What waited for it leaves when it is switched on.
        channels.switch(team, True, ANN, "corrected", NOW + MINUTE)
        assert deliver(NOW + MINUTE) == 1
        assert outbox(channel=team) == [("fired", "team", "dead"), ("fired", "team", "delivered")]

    def test_an_owner_whose_address_bounces_is_told_to_operators(self, mail: MailServer, settings: Settings) -> None:
        settings.ALERT_OPERATORS = ["ops@example.com"]
        notice = queue_notice(
            key="warn:1", template="alerts/messages/test", context={"channel": "x"}, to="gone@example.com", now=NOW
        )
        mail.mood = Mood.BOUNCES
        deliver(NOW)
        notice.refresh_from_db()
        assert (notice.state, notice.delivered_at) == ("dead", None)
        assert Alert.objects.get().subject == "mail:gone@example.com"
        assert outbox(about="fired") == [("fired", "ops@example.com", "queued")]

    def test_without_a_mail_server_it_waits_and_says_so(self, settings: Settings) -> None:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST = ""
        subscribed()
        run_failed()
        deliver(NOW)
        assert "EMAIL_HOST is not set" in Notification.objects.get().last_error


class TestCrashes:
    def test_killed_after_its_claim_it_is_sent_again_after_the_lease_with_the_same_key(self, mail: MailServer) -> None:
        """Acceptance case 12."""
        subscribed()
        run_failed()
        (claimed,) = claim(NOW)
        assert deliver(NOW + LEASE - SECOND) == 0  # another sender: it is not to be had
        assert mail.keys == []
        assert deliver(NOW + LEASE) == 1
        assert mail.keys == [claimed.row.key]
        # The first sender was only stopped, and comes back: it changes nothing any more.
        assert not settle_delivered(claimed.row, NOW + 2 * LEASE)
        assert Notification.objects.get().delivered_at == NOW + LEASE

    def test_one_that_comes_back_while_the_next_one_sends_leaves_that_one_its_message(self, mail: MailServer) -> None:
        """It was stopped for longer than its lease, and the next one has claimed and not settled yet."""
        subscribed()
        run_failed()
        (first,) = claim(NOW)
        Notification.objects.free_lost(NOW + LEASE)
        (second,) = claim(NOW + LEASE)
        assert not settle_delivered(first.row, NOW + LEASE)
        assert not settle_failed(first.row, Failure("It was away."), NOW + LEASE, 0.5)
        assert not settle_untried(first.row)
        assert (Notification.objects.get().state, Notification.objects.get().attempts) == ("sending", 2)
        assert settle_delivered(second.row, NOW + LEASE)
        assert not settle_delivered(second.row, NOW + 2 * LEASE)
        assert not settle_failed(second.row, Failure("It was away."), NOW + 2 * LEASE, 0.5)
        assert (Notification.objects.get().state, Notification.objects.get().delivered_at) == ("delivered", NOW + LEASE)

    def test_killed_in_the_middle_of_a_digest_all_of_it_is_sent_again(self, mail: MailServer) -> None:
        subscribed()
        for number in range(9):
            fire("consumer_lag", f"group:{number}", title=f"lag {number}", now=NOW)
        for second in range(7):
            deliver(NOW + second * SECOND)
        later = NOW + 2 * MINUTE
        (claimed,) = claim(later)
        assert claimed.row.about == "digest"
        assert set(claimed.row.members.values_list("state", flat=True)) == {"sending"}
        assert deliver(later + LEASE) == 1
        assert mail.keys[-1] == claimed.row.key
        assert set(claimed.row.members.values_list("state", flat=True)) == {"delivered"}

    def test_the_outbox_says_how_long_it_is_behind(self, mail: MailServer) -> None:
        """Acceptance case 30: a sender that stopped is noticed within two minutes of a due notification."""
        subscribed()
        run_failed()
        assert health.notifications_leave(NOW + 89 * SECOND)
        assert oldest_due(NOW + 119 * SECOND) == 119 * SECOND
        assert not health.notifications_leave(NOW + 119 * SECOND)
        deliver(NOW + 2 * MINUTE)
        assert health.notifications_leave(NOW + 10 * MINUTE)

    def test_a_text_that_cannot_be_rendered_keeps_nobody_from_leaving(self, mail: MailServer) -> None:
        queue_notice(key="x", template="alerts/messages/gone", context={}, to="ann@example.com", now=NOW)
        subscribed()
        run_failed()
        assert deliver(NOW) == 1
        assert "cannot be rendered" in Notification.objects.get(key="x").last_error


class TestLimits:
    def test_thirty_in_a_minute_are_six_and_one_digest_with_the_rest(self, hook: Receiver) -> None:
        """Acceptance case 33: the first ones, then one digest with all of them; none missing."""
        hooked(hook)
        for number in range(30):
            fire("consumer_lag", f"group:{number}", title=f"lag {number}", now=NOW + 2 * number * SECOND)
            deliver(NOW + 2 * number * SECOND)
        run_until_sent(NOW + MINUTE)
        alone = [body for _, body in hook.posts if body["about"] == "fired"]
        digests = [body for _, body in hook.posts if body["about"] == "digest"]
        assert (len(alone), len(digests)) == (6, 1)
        told = [body["title"] for body in alone] + [member["title"] for member in digests[0]["members"]]
        assert sorted(told) == sorted(f"lag {number}" for number in range(30))
        assert all(f"lag {number}" in digests[0]["text"] for number in range(6, 30))
        assert set(Notification.objects.values_list("state", flat=True)) == {"delivered"}

    def test_a_persons_notices_beyond_twenty_an_hour_are_a_digest_that_delivers_each(self, mail: MailServer) -> None:
        for number in range(30):
            queue_notice(
                key=f"warn:{number}",
                template="alerts/messages/test",
                context={"channel": f"task {number}"},
                to="ann@example.com",
                now=NOW,
            )
        end = run_until_sent(NOW)
        assert len(mail.mails) == 21
        assert end < NOW + 15 * MINUTE
        digest = mail.mails[-1].get_payload()[0].get_payload(decode=True).decode()  # type: ignore[index,union-attr]
        assert all(f"task {number}." in digest or f"task {number}," in digest for number in range(20, 30))
        notices = Notification.objects.filter(about="notice")
        assert set(notices.values_list("state", flat=True)) == {"delivered"}
        assert all(row.delivered_at for row in notices)

    def test_other_destinations_are_not_held_up(self, hook: Receiver, mail: MailServer) -> None:
        hooked(hook)
        subscribed(kinds=["run_failed"])
        for number in range(10):
            fire("consumer_lag", f"group:{number}", title="lag", now=NOW)
        for second in range(7):
            deliver(NOW + second * SECOND)
        run_failed(now=NOW + 8 * SECOND)
        deliver(NOW + 8 * SECOND)
        assert len(mail.mails) == 1

    def test_what_is_resolved_while_it_waits_in_a_digest_is_told_as_both(self, hook: Receiver) -> None:
        hooked(hook)
        for number in range(8):
            fire("consumer_lag", f"group:{number}", title=f"lag {number}", now=NOW)
        for second in range(7):
            deliver(NOW + second * SECOND)
        resolve("consumer_lag", "group:7", now=NOW + 10 * SECOND, because="It caught up.")
        deliver(NOW + 2 * MINUTE)
        members = hook.posts[-1][1]["members"]
        assert [member["about"] for member in members] == ["fired", "combined"]


class TestWebhook:
    def test_it_says_the_facts(self, hook: Receiver) -> None:
        hooked(hook)
        alert = run_failed(scope="eu", link="/schedules/runs/7/")
        deliver(NOW)
        headers, body = hook.posts[0]
        row = Notification.objects.get()
        assert headers["Idempotency-Key"] == body["key"] == row.key
        assert {name: body[name] for name in ("about", "kind", "severity", "title", "scope", "alert")} == {
            "about": "fired",
            "kind": "run_failed",
            "severity": "warning",
            "title": "nightly failed",
            "scope": "eu",
            "alert": alert.pk,
        }

    @pytest.mark.parametrize("mood", [Mood.REFUSES, Mood.DIES])
    def test_it_is_tried_again_with_the_same_key(self, hook: Receiver, mood: Mood) -> None:
        hooked(hook)
        run_failed()
        hook.mood = mood
        assert deliver(NOW) == 0
        hook.mood = Mood.TAKES
        assert deliver(NOW + 2 * MINUTE) == 1
        assert hook.keys == [Notification.objects.get().key] * 2

    def test_a_slow_one_is_left_behind(self, hook: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(delivery, "PATIENCE", 0.2)
        hooked(hook)
        run_failed()
        hook.mood = Mood.SLOW
        assert deliver(NOW) == 0
        assert "not taken within" in Notification.objects.get().last_error

    def test_gone_is_a_bounce(self, hook: Receiver) -> None:
        made = hooked(hook)
        run_failed()
        hook.mood, hook.status = Mood.REFUSES, 410
        deliver(NOW)
        made.refresh_from_db()
        assert "410" in made.off_because

    def test_a_redirect_is_not_followed(self, hook: Receiver) -> None:
        hooked(hook)
        run_failed()
        hook.mood, hook.status = Mood.REFUSES, 302
        assert deliver(NOW) == 0
        assert len(hook.posts) == 1
        assert "answered 302" in Notification.objects.get().last_error

    def test_a_private_address_is_refused_also_when_it_is_sent(self, hook: Receiver, settings: Settings) -> None:
        hooked(hook)
        run_failed()
        settings.OUTGOING_ALLOW = []
        deliver(NOW)
        assert hook.posts == []
        assert "private or reserved address" in Notification.objects.get().last_error

    def test_its_address_may_be_in_the_environment(self, hook: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ALERT_HOOK", hook.address)
        subscribe(channel("hook", "env:ALERT_HOOK", ChannelKind.WEBHOOK))
        run_failed()
        assert deliver(NOW) == 1


class TestTests:
    def test_a_test_goes_the_real_way(self, hook: Receiver) -> None:
        made = hooked(hook)
        row = channels.send_test(made, ANN, NOW)
        assert deliver(NOW) == 1
        assert hook.keys == [row.key]
        assert "asked for by ann" in hook.posts[0][1]["text"]

    def test_it_reaches_a_channel_that_is_off_and_is_given_up_soon_without_an_alert(self, hook: Receiver) -> None:
        made = hooked(hook)
        channels.switch(made, False, ANN, "broken", NOW)
        hook.mood = Mood.REFUSES
        channels.send_test(made, ANN, NOW)
        run_until_sent(NOW)
        assert outbox() == [("test", "hook", "dead")]
        assert not Alert.objects.exists()


def test_a_silent_clock_is_told_by_whoever_notices(mail: MailServer, settings: Settings) -> None:
    settings.ALERT_OPERATORS = ["ops@example.com"]
    run_failed()  # waits for the clock
    tell_of_silence(now=NOW, since=NOW - MINUTE)
    tell_of_silence(now=NOW + 10 * SECOND, since=NOW - MINUTE)
    assert [sent["Subject"] for sent in mail.mails] == ["[Critical] Clock silent: No clock is running"]
    assert Alert.objects.get(kind="clock_silent").count == 1
