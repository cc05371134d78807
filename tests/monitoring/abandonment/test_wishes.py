"""What people wish: keep, exempt, warn now. And the policies that they save."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from monitoring.abandonment.models import Policy
from monitoring.abandonment.operations.policies import remove_policy, save_policy
from monitoring.abandonment.operations.proving import NotSimulatedError
from monitoring.abandonment.operations.simulating import simulate
from monitoring.abandonment.operations.wishes import exempt, keep, keep_no_longer, warn_now
from monitoring.abandonment.rules import Stage
from monitoring.alerts.models import Alert, Notification
from opsconsole.errors import UsageError
from opsconsole.models import AuditEntry
from tests.monitoring.abandonment.plane import ANN, DAY, HOUR, NOW, OWNER, Console, Plane, policy

pytest_plugins = ["tests.fixtures_abandonment"]


def test_keeping_ends_the_countdown_and_afterwards_it_begins_anew(plane: Plane, console: Console) -> None:
    policy()
    plane.put(1, failing=NOW - 31 * DAY)
    console.settle()
    console.deliver()
    console.look()
    keep(console.task(1), plane.now + 10 * DAY, ANN, "migrating", plane.now)
    task = console.task(1)
    assert (task.disable_at, task.hold, task.state) == (None, "kept", "failing")
    assert console.alerts() == []
    assert AuditEntry.objects.filter(action="tracked_task.kept", reason="migrating", actor="ann").exists()
    console.jumps(10 * DAY)
    assert len(console.mails("warning")) == 2
    assert console.task(1).disable_at is None, "the second has not been delivered"


def test_a_warning_that_has_not_left_is_withdrawn_when_it_is_kept(plane: Plane, console: Console) -> None:
    policy()
    plane.put(1, failing=NOW - 31 * DAY)
    console.settle()
    keep(console.task(1), plane.now + DAY, ANN, "migrating", plane.now)
    assert Notification.objects.get(about="notice").state == "withdrawn"
    keep_no_longer(console.task(1), ANN, "done", plane.now)
    assert Notification.objects.waiting().filter(about="notice").count() == 1


@pytest.mark.parametrize("time", [timedelta(0), timedelta(days=367)])
def test_kept_until_a_time_that_makes_sense(plane: Plane, console: Console, time: timedelta) -> None:
    plane.put(1)
    console.settle()
    with pytest.raises(UsageError, match="within a year"):
        keep(console.task(1), plane.now + time, ANN, "migrating", plane.now)


def test_exempt_until_it_is_taken_back(plane: Plane, console: Console) -> None:
    policy()
    plane.put(1, failing=NOW - 31 * DAY)
    console.settle()
    exempt(console.task(1), True, ANN, "a test system", plane.now)
    console.jumps(90 * DAY)
    assert console.alerts() == []
    exempt(console.task(1), False, ANN, "no more", plane.now)
    assert [kind for kind, _ in console.alerts()] == ["abandoned"]


def test_a_look_leaves_wishes_as_they_are(plane: Plane, console: Console) -> None:
    plane.put(1)
    console.settle()
    keep(console.task(1), plane.now + 90 * DAY, ANN, "migrating", plane.now)
    console.jumps(2 * HOUR)
    task = console.task(1)
    assert (task.wish_reason, task.wish_by, task.exempt) == ("migrating", "ann", False)
    assert task.keep_until == NOW + 90 * DAY + timedelta(minutes=5)


def test_warned_now_before_its_time_it_is_disabled_only_where_the_policy_does(plane: Plane, console: Console) -> None:
    plane.put(1, failing=NOW - 3 * DAY)
    console.settle()
    warn_now(console.task(1), ANN, "they ask us to", plane.now)
    assert console.mails() == [("warning", OWNER)]
    assert console.task(1).notice_length is None
    assert [kind for kind, _ in console.alerts()] == ["abandoned"]
    console.deliver()
    console.jumps(20 * DAY)
    assert console.disablings() == []
    policy()
    console.jumps(HOUR)
    assert console.task(1).notice_number == 2
    console.deliver()
    console.jumps(7 * DAY + HOUR)
    assert console.disablings() == ["asked"]


def test_nobody_is_warned_of_nothing(plane: Plane, console: Console) -> None:
    plane.put(1, mail="", failing=NOW - 3 * DAY)
    plane.put(2, on_off="off")
    plane.put(3, vip=True, failing=NOW - 3 * DAY)
    console.settle()
    for number, why in ((1, "address"), (2, "not enabled"), (3, "protected")):
        with pytest.raises(UsageError, match=why):
            warn_now(console.task(number), ANN, "please", plane.now)
    assert Alert.objects.count() == 0, "a refusal leaves nothing behind"


def tried(values: dict[str, Any], instead_of: Policy | None = None) -> str:
    """The proof that a policy with these values was simulated now."""
    return simulate(Policy(**values).aimed, instead_of.aim if instead_of else None, NOW).proof


def test_a_policy_is_saved_only_as_it_was_simulated_and_within_an_hour(plane: Plane, console: Console) -> None:
    values = {"scope": "eu-*", "kind": "*", "failing_stage": Stage.NOTIFY.value}
    proof = tried(values)
    late, wider = NOW + timedelta(hours=1, seconds=1), values | {"scope": "*"}
    forged = f"{proof[:-1]}{'A' if proof[-1] != 'A' else 'B'}"
    for given, now, said in (
        (values, NOW, ""),
        (values, NOW, "anything"),
        (values, NOW, forged),
        (values, late, proof),
        (wider, NOW, proof),
        (values | {"notice": timedelta(days=6)}, NOW, proof),
    ):
        with pytest.raises(NotSimulatedError, match="simulated with exactly its values"):
            save_policy(None, given, ANN, "x", now, proof=said)
    assert not Policy.objects.exists()
    made = save_policy(None, values, ANN, "x", late - timedelta(seconds=1), proof=proof)
    with pytest.raises(NotSimulatedError):
        save_policy(made, wider, ANN, "what it replaces counts, too", NOW, proof=tried(wider))
    made.refresh_from_db()
    assert made.scope == "eu-*"


def test_policies_are_audited_with_what_they_were(plane: Plane, console: Console) -> None:
    values = {"scope": "eu-*", "kind": "*", "failing_stage": Stage.NOTIFY.value}
    made = save_policy(None, values, ANN, "a first step", NOW, proof=tried(values))
    second = {"failing_stage": Stage.DISABLE.value}
    save_policy(made, second, ANN, "a second step", NOW, proof=tried(values | second, made))
    with pytest.raises(UsageError, match="already"):
        save_policy(None, values, ANN, "once more", NOW, proof=tried(values))
    remove_policy(made, ANN, "done")
    assert not Policy.objects.exists()
    rows = list(AuditEntry.objects.order_by("pk"))
    assert [row.action for row in rows] == [
        "tracked_policy.added",
        "tracked_policy.changed",
        "tracked_policy.removed",
    ]
    before, after = rows[1].before or {}, rows[1].after or {}
    assert (before["failing_stage"], after["failing_stage"]) == ("1", "2")
