"""What an owner gets, by a real mail server: warned, reminded, disabled, enabled again; and nothing untrue."""

from __future__ import annotations

from datetime import timedelta

from monitoring.abandonment.operations import wishes
from monitoring.alerts.models import Notification
from monitoring.alerts.operations.delivery import deliver
from tests.monitoring.abandonment.plane import ANN, DAY, HOUR, MINUTE, NOW, OWNER, Console, Plane, policy
from tests.monitoring.receivers import MailServer, Mood

pytest_plugins = ["tests.fixtures_abandonment", "tests.fixtures_mail"]


def to_owner(mail: MailServer) -> list[str]:
    return [str(sent["Subject"]) for sent in mail.mails if sent["To"] == OWNER]


def send(plane: Plane) -> None:
    """The sender's rounds of a minute: one message at a time goes to each destination."""
    for second in range(10):
        deliver(plane.now + timedelta(seconds=second))


def text_of(mail: MailServer) -> str:
    plain, _ = (part.get_payload(decode=True).decode() for part in mail.mails[-1].get_payload())  # type: ignore[union-attr]
    return str(plain)


def test_from_the_warning_to_enabled_again(plane: Plane, console: Console, mail: MailServer) -> None:
    policy()
    plane.put(1, failing=NOW - 31 * DAY, restarted=826)
    mail.mood = Mood.REFUSES
    console.settle()
    send(plane)
    assert mail.mails == []
    console.jumps(8 * DAY)
    assert console.disablings() == [], "no warning has arrived, so no time runs"

    mail.mood = Mood.TAKES
    Notification.objects.waiting().update(due_at=plane.now, give_up_at=plane.now + DAY)
    send(plane)
    assert to_owner(mail) == ["task 1 is failing and will be disabled"]
    assert "restarted 826 times" in text_of(mail)
    assert "disabled 7 days after this message reaches you" in text_of(mail)
    console.passes(5 * MINUTE)
    promised = console.task(1).disable_at
    assert promised is not None
    assert abs(promised - plane.now - 7 * DAY) < HOUR

    console.jumps(4 * DAY + HOUR)
    send(plane)
    console.jumps(2 * DAY)
    send(plane)
    assert to_owner(mail)[1:] == [f"task 1 will be disabled at {promised:%Y-%m-%d %H:%M:%S} UTC"] * 2
    console.jumps(DAY)
    assert console.disablings() == ["asked"]
    send(plane)
    assert len(to_owner(mail)) == 3, "nobody is told before it is done"
    assert console.work() == 1
    send(plane)
    assert to_owner(mail)[3:] == ["task 1 is disabled"]
    assert plane.value(1, "on_off") == "off"

    wishes.ask_undo(console.task(1), ANN, "they called", plane.now)
    assert console.work() == 1
    send(plane)
    assert to_owner(mail)[4:] == ["task 1 is enabled again"]
    assert len(set(mail.keys)) == len(mail.keys), "each of its own"
