"""Systems that report their tasks themselves, by the operation and over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from monitoring.abandonment.facts import Facts
from monitoring.abandonment.models import Disabling, SourceLook, TaskState, TrackedTask
from monitoring.abandonment.operations import reporting
from monitoring.abandonment.rules import Stage
from monitoring.abandonment.source import SeenTask
from opsconsole.access import Role
from opsconsole.errors import UsageError
from opsconsole.estate.model import DisableWay, KafkaMessages, TrackedSource
from opsconsole.models import AuditEntry
from tests.api.callers import Program, problem_of, program
from tests.monitoring.abandonment.plane import ANN, DAY, HOUR, MINUTE, NOW, OWNER, Console, Plane, policy

pytest_plugins = ["tests.fixtures_abandonment"]
EDGE = TrackedSource(
    "edge", "Edge", reported=True, disable=DisableWay(kafka=KafkaMessages("task-updates"), read_back=0)
)


@pytest.fixture(autouse=True)
def edge(console: Console) -> Console:
    console.use(EDGE)
    return console


def say(plane: Plane, *keys: str, gone: tuple[str, ...] = (), **facts: Any) -> None:
    values: dict[str, Any] = {"owner": OWNER, "created_at": NOW - 90 * DAY, "data_known": False} | facts
    reporting.report("edge", [SeenTask(key, Facts(**values)) for key in keys], gone, ANN, plane.now)


def test_reported_for_a_month_and_warned(plane: Plane, edge: Console) -> None:
    policy()
    say(plane, "a", healthy=False, last_healthy_at=NOW - 31 * DAY)
    assert edge.alerts() == [], "the first report begins nothing"
    plane.now += 5 * MINUTE
    say(plane, "a", healthy=False, last_healthy_at=NOW - 31 * DAY)
    assert edge.mails() == [("warning", OWNER)]


def test_a_task_that_is_not_in_a_report_is_unknown_and_that_time_does_not_count(plane: Plane, edge: Console) -> None:
    failing: dict[str, Any] = {"healthy": False, "last_healthy_at": NOW - 29 * DAY}
    say(plane, "a", "b", **failing)
    for _ in range(48):
        plane.now += HOUR / 4
        say(plane, "b", **failing)
    plane.now += HOUR / 4
    say(plane, "a", "b", **failing)
    rows = {task.key: task for task in TrackedTask.objects.all()}
    assert rows["a"].failing_unknown == 49 * HOUR / 4
    assert rows["b"].failing_unknown == timedelta(0)


def test_gone_is_what_the_system_says(plane: Plane, edge: Console) -> None:
    say(plane, "a", "b")
    say(plane, gone=("a", "unknown"))
    assert {task.key: task.status for task in TrackedTask.objects.all()} == {
        "a": TaskState.GONE,
        "b": TaskState.HEALTHY,
    }


def test_disabled_by_an_order_and_the_next_report_says_so(plane: Plane, edge: Console) -> None:
    policy()
    for _ in range(2):
        say(plane, "a", healthy=False, last_healthy_at=NOW - 31 * DAY)
        plane.now += MINUTE
    edge.deliver()
    plane.now += MINUTE
    say(plane, "a", healthy=False, last_healthy_at=NOW - 31 * DAY)
    TrackedTask.objects.update(looked_at=plane.now + 7 * DAY)
    SourceLook.objects.update(looked_at=plane.now + 7 * DAY)
    plane.now += 7 * DAY
    say(plane, "a", healthy=False, last_healthy_at=NOW - 31 * DAY)
    silent_since, plane.now = plane.now, plane.now + HOUR
    edge.work()
    assert "have not been reported since" in Disabling.objects.get().error, "nothing is ordered on old news"
    plane.now = silent_since
    Disabling.objects.update(due_at=plane.now)
    edge.work()
    assert "is not seen disabled yet" in Disabling.objects.get().error
    assert edge.disablings() == ["asked"]
    assert edge.mails("disabled") == []
    plane.now += 2 * MINUTE
    say(plane, "a", enabled=False)
    edge.work()
    assert edge.disablings() == ["done"]
    assert edge.mails("disabled") == [("disabled", OWNER)]


def test_only_sources_that_report(plane: Plane) -> None:
    with pytest.raises(UsageError, match="there are edge"):
        reporting.report("live", [], [], ANN, NOW)
    with pytest.raises(UsageError, match="too many"):
        say(plane, *map(str, range(1_001)))


class TestOverHttp:
    @pytest.fixture
    def ops(self, edge: Console) -> Program:
        return program(Role.OPERATOR, "olga")

    def test_report_list_and_keep(self, ops: Program) -> None:
        failing = {"key": "k/1", "owner": OWNER, "healthy": False, "title": "orders", "scope": "edge-1"}
        answer = ops.post("tracked-task-reports", {"source": "edge", "tasks": [failing, {"key": "2", "healthy": True}]})
        assert answer.json() == {"tasks": 2, "gone": 0}
        (row,) = ops.get("tracked-tasks", {"state": "failing"}).json()["items"]
        assert (row["key"], row["title"], row["scope"], row["state"]) == ("k/1", "orders", "edge-1", "failing")
        until = (timezone.now() + DAY).isoformat()
        kept = ops.post(f"tracked-tasks/{row['number']}/keep", {"until": until, "reason": "migrating"})
        assert kept.json()["keep_until"] is not None
        assert AuditEntry.objects.get(action="tracked_task.kept").door == "api"
        assert ops.get(f"tracked-tasks/{row['number']}").json() == kept.json()

    def test_policies_are_read(self, ops: Program) -> None:
        policy(Stage.NOTIFY, scope="eu-*")
        (row,) = ops.get("tracked-task-policies").json()["items"]
        assert (row["scope"], row["kind"], row["failing_stage"], row["reminders"]) == ("eu-*", "*", "notify", [72, 24])
        assert (row["failing_after_seconds"], row["notice_seconds"]) == (30 * 86_400, 7 * 86_400)

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ({"source": "nowhere"}, "There is no source"),
            ({"source": "edge", "tasks": [{"key": ""}]}, "key"),
            ({"source": "edge", "tasks": [{"key": "a", "healty": True}]}, "healty"),
            ({"source": "edge", "tasks": [{"key": "a", "created_at": "soon"}]}, "created_at"),
        ],
    )
    def test_what_cannot_be_taken_is_named(self, ops: Program, body: dict[str, Any], said: str) -> None:
        answer = ops.post("tracked-task-reports", body)
        assert problem_of(answer)["status"] in (400, 422)
        assert said in answer.content.decode()

    def test_a_time_without_a_zone_is_refused(self, ops: Program) -> None:
        task = {"key": "a", "healthy": False, "last_healthy_at": "2026-01-01T00:00:00"}
        answer = ops.post("tracked-task-reports", {"source": "edge", "tasks": [task]})
        assert problem_of(answer)["status"] == 422
        assert not TrackedTask.objects.exists()
