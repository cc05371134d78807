"""Pages of tracked tasks: lists and their filters, one task, what people do about it, and policies tried first."""

from __future__ import annotations

import csv
import re
from datetime import timedelta
from html import unescape
from io import StringIO
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from monitoring.abandonment.models import Disabling, FailingSpell, Policy, TrackedTask
from monitoring.abandonment.operations.wishes import ask_undo
from monitoring.abandonment.readings import troubled
from opsconsole.access import Role
from opsconsole.models import AuditEntry
from tests.monitoring.abandonment.plane import ANN, DAY, HOUR, Console, Plane, policy
from tests.web.sync_rows import HOSTILE, MOST_QUERIES, client_of

pytest_plugins = ["tests.fixtures_abandonment"]

LIST = "/tracked-tasks/"
POLICY = {
    "scope": "*",
    "kind": "*",
    "failing_stage": "2",
    "failing_after": "30d",
    "idle_stage": "0",
    "idle_after": "30d",
    "notice": "7d",
    "reminders": "3d 1d",
    "watch_after": "14d",
    "recency": "14d",
    "lasting": "2h",
    "reason": "",
}


@pytest.fixture
def now(plane: Plane) -> Any:
    """The plane at the present time: pages read the real clock."""
    plane.now = timezone.now().replace(microsecond=0)
    return plane.now


@pytest.fixture
def scene(plane: Plane, console: Console, now: Any) -> Console:
    """One healthy, one failing for a month, one for three days, one idle; seen twice."""
    plane.put(1)
    plane.put(2, failing=now - 31 * DAY, restarted=826, err=HOSTILE, made=now - 90 * DAY)
    plane.put(3, failing=now - 3 * DAY, mail="", **{"Data Plane": "us-1"})
    plane.put(4, quiet=now - 40 * DAY, made=now - 90 * DAY)
    console.look()
    console.look()
    return console


def body(address: str, role: Role = Role.VIEWER, status: int = 200) -> str:
    answer = client_of(role).get(address)
    assert answer.status_code == status, answer.content.decode()[:2_000]
    return answer.content.decode()


class TestList:
    def test_each_state_and_what_happens_next(self, scene: Console) -> None:
        text = body(LIST)
        assert "Failing for 31 days, restarted 826 times" in text
        assert "No data for 40 days" in text
        assert "nobody is known" in text
        assert "Its policy only detects" in text

    def test_few_queries_whatever_the_length(self, scene: Console, plane: Plane, now: Any) -> None:
        for number in range(10, 60):
            plane.put(number, failing=now - number * DAY)
        scene.look()
        client = client_of(Role.VIEWER)
        with CaptureQueriesContext(connection) as queries:
            assert b"Failing for" in client.get(LIST).content
        assert len(queries) <= MOST_QUERIES

    @pytest.mark.parametrize(
        ("query", "numbers"),
        [
            ("state=failing", {2, 3}),
            ("state=idle", {4}),
            ("state=healthy", {1}),
            ("age=14", {2, 4}),
            ("scope=us-1", {3}),
            ("owner=ann@example.com", {1, 2, 4}),
            ("name=task+3", {3}),
            ("source=live&kind=capture", {1, 2, 3, 4}),
        ],
    )
    def test_filters_and_their_csv(self, scene: Console, query: str, numbers: set[int]) -> None:
        shown = body(f"{LIST}?{query}")
        assert {number for number in range(1, 5) if f">task {number}<" in shown} == numbers
        answer = client_of(Role.VIEWER).get(f"{LIST}tasks.csv?{query}")
        lines = list(csv.DictReader(StringIO(b"".join(answer.streaming_content).decode())))  # type: ignore[attr-defined]
        assert {int(line["id"]) for line in lines} == numbers

    def test_a_filter_that_cannot_be_is_said(self, scene: Console) -> None:
        assert "Select a valid choice" in body(f"{LIST}?state=odd", status=400)

    def test_what_cannot_be_seen_and_what_is_down_is_said_first(self, scene: Console, plane: Plane, now: Any) -> None:
        for number in range(10, 20):
            plane.put(number, failing=now - HOUR)
        scene.look()
        assert "began to fail together" in body(LIST)
        scene.use(plane.source(), plane.source(name="other", label="Others"))
        assert "Others: not looked at yet" in body(LIST)

    def test_nothing_tracked_says_what_to_do(self, console: Console) -> None:
        console.use()
        assert "[[tracked_tasks]]" in body(LIST)


class TestOne:
    def test_history_facts_and_nothing_hostile(self, scene: Console, now: Any) -> None:
        task = scene.task(2)
        FailingSpell.objects.filter(task=task).update(began_at=now - 20 * DAY)
        text = body(f"{LIST}{task.pk}/")
        assert "band-failing" in text
        assert "unknown" in text
        assert HOSTILE not in text
        assert "826" in text

    def test_a_countdown_is_shown_with_its_date(self, scene: Console) -> None:
        policy()
        scene.look()
        scene.deliver()
        scene.look()
        text = body(f"{LIST}{scene.task(2).pk}/")
        assert "left." in text
        assert "It is disabled at" in text
        assert "Owner warned" in text
        assert "left</strong>" in body(f"{LIST}?state=warned&sort=disable_at")

    def test_an_unknown_one(self, scene: Console) -> None:
        body(f"{LIST}999999/", status=404)


class TestActs:
    def post(self, number: int, act: str, role: Role = Role.OPERATOR, **data: str) -> Any:
        task = TrackedTask.objects.get(key=str(number))
        return client_of(role).post(f"{LIST}{task.pk}/{act}/", {"reason": "they called"} | data, follow=True)

    def test_keep_until(self, scene: Console) -> None:
        until = (timezone.now() + 5 * DAY).date().isoformat()
        assert "is kept until" in self.post(2, "keep", until=until).content.decode()
        assert "they called" in body(f"{LIST}{scene.task(2).pk}/")
        assert "Keep no longer" in body(f"{LIST}{scene.task(2).pk}/", Role.OPERATOR)
        self.post(2, "keep/end")
        assert scene.task(2).keep_until is None

    @pytest.mark.parametrize("until", ["tomorrow", "2020-01-01", ""])
    def test_a_bad_time_is_said_and_kept_in_the_form(self, scene: Console, until: str) -> None:
        answer = self.post(2, "keep", until=until)
        assert answer.status_code == 400
        assert f'value="{until}"' in answer.content.decode() or not until
        assert scene.task(2).keep_until is None

    def test_exempt_and_back(self, scene: Console) -> None:
        self.post(2, "exempt")
        assert scene.task(2).exempt
        self.post(2, "exempt/end")
        assert not scene.task(2).exempt

    def test_warn_now(self, scene: Console) -> None:
        assert "is on its way" in self.post(2, "warn").content.decode()
        answer = self.post(3, "warn")
        assert answer.status_code == 400
        assert "Nobody knows an address" in answer.content.decode()

    def test_disable_now_and_enable_again(self, scene: Console, plane: Plane) -> None:
        assert "is disabled." in self.post(2, "disable").content.decode()
        assert plane.value(2, "on_off") == "off"
        text = body(f"{LIST}{scene.task(2).pk}/", Role.OPERATOR)
        assert "Enable again" in text
        assert "Disable now" not in text
        assert "is enabled again." in self.post(2, "enable").content.decode()
        assert plane.value(2, "on_off") == "on"
        assert AuditEntry.objects.filter(action="tracked_task.enabled", reason="they called").exists()

    def test_what_fails_is_said_and_tried_again(self, scene: Console, plane: Plane) -> None:
        plane.change(2, on_off="on ")  # the statement finds no row; the source still says what it did
        scene.use(plane.source(enabled="on_off LIKE 'on%'"))
        answer = self.post(2, "disable")
        assert answer.status_code == 400
        assert "tried again within minutes" in answer.content.decode()
        text = body(f"{LIST}{scene.task(2).pk}/")
        assert "tried 1 time" in text
        assert "may have reached its system. Unless it is seen done before, it is tried again at" in text
        assert Disabling.objects.get().state == "asked"

    def test_what_is_asked_for_is_not_called_done(self, scene: Console) -> None:
        self.post(2, "disable")
        ask_undo(scene.task(2), ANN, "they called", scene.plane.now)
        text = body(f"{LIST}{scene.task(2).pk}/")
        assert "To be enabled again, asked by ann: they called" in text
        assert "Being enabled again. Unless it is seen done before, it is tried again at" in text

    @pytest.mark.parametrize("act", ["keep", "keep/end", "exempt", "exempt/end", "warn", "disable", "enable"])
    def test_who_only_looks_does_nothing_and_a_reason_is_asked_for(self, scene: Console, act: str) -> None:
        assert self.post(2, act, Role.VIEWER).status_code == 403
        assert self.post(2, act, reason="").status_code == 400
        address = f"{LIST}{scene.task(2).pk}/{act}/"
        assert client_of(Role.OPERATOR).get(address).status_code == 200
        assert not AuditEntry.objects.filter(action__startswith="tracked_task").exists()


class TestPolicies:
    def post(self, address: str, role: Role = Role.ADMINISTRATOR, **data: str) -> Any:
        return client_of(role).post(f"{LIST}policies/{address}", POLICY | data, follow=True)

    def simulated(self) -> str:
        """What the page carries along from a simulation."""
        return self.carried(self.post("add/", simulate="1").content.decode())

    @staticmethod
    def carried(text: str) -> str:
        found = re.search(r'name="simulated" value="([^"]+)"', text)
        assert found is not None
        return unescape(found[1])

    def test_simulated_first_and_nothing_is_saved(self, scene: Console) -> None:
        answer = self.post("add/", simulate="1")
        text = answer.content.decode()
        assert "<strong>1</strong> owner would be warned, 1 of them at once" in text
        assert "<strong>1</strong> task would be disabled" in text
        assert "1 would be left alone" in text, "it has no owner's address, and would be due in 27 days"
        assert "task 2" in text
        assert not Policy.objects.exists()
        assert 'value="30d"' in text, "what was typed is kept"

    def test_a_promised_date_is_told_to_stay(self, scene: Console) -> None:
        row = policy()
        scene.look()
        scene.deliver()
        scene.look()
        text = self.post(f"{row.pk}/", simulate="1", notice="1d").content.decode()
        assert "1 date promised already stays" in text

    def test_tasks_of_a_narrower_policy_are_left_out(self, scene: Console) -> None:
        policy(scope="eu-1")
        text = self.post("add/", simulate="1").content.decode()
        assert "<strong>0</strong> owners would be warned" in text

    def test_saved_with_a_reason_and_removed(self, scene: Console) -> None:
        proof = self.simulated()
        assert self.post("add/", simulated=proof).status_code == 400
        assert "is saved" in self.post("add/", reason="first step", simulated=proof).content.decode()
        row = Policy.objects.get()
        assert (row.failing_stage, row.notice, row.reminders) == (2, timedelta(days=7), [72, 24])
        assert "already" in self.post("add/", reason="twice", simulated=proof).content.decode()
        text = body(f"{LIST}policies/")
        assert "Notify, then disable, after 30 d" in text
        assert "7 d after the warning was delivered" in text
        self.post(f"{row.pk}/remove/", reason="done")
        assert not Policy.objects.exists()

    @pytest.mark.parametrize("changed", [{}, {"notice": "1d"}, {"scope": "eu-*"}])
    def test_saving_what_was_not_simulated_shows_the_simulation_first(
        self, scene: Console, changed: dict[str, Any]
    ) -> None:
        """Without one, or with other values than those that it was of; what was typed stays, and then it is saved."""
        proof = self.simulated() if changed else ""
        answer = self.post("add/", reason="at once", simulated=proof, **changed)
        text = answer.content.decode()
        assert answer.status_code == 409
        assert "Not saved yet" in text
        assert "owner would be warned" in text or "owners would be warned" in text
        assert 'value="at once"' in text
        assert not Policy.objects.exists()
        again = self.post("add/", reason="at once", simulated=self.carried(text), **changed)
        assert "is saved" in again.content.decode()

    @pytest.mark.parametrize(
        ("field", "value"),
        [("scope", "a*b"), ("notice", "7"), ("notice", "1h"), ("reminders", "soon"), ("lasting", "")],
    )
    def test_mistakes_are_said_in_place(self, scene: Console, field: str, value: str) -> None:
        answer = self.post("add/", Role.ADMINISTRATOR, **{"reason": "x", field: value})
        assert answer.status_code == 400
        assert "field-error" in answer.content.decode()
        assert not Policy.objects.exists()

    def test_only_administrators_change_them(self, scene: Console) -> None:
        assert self.post("add/", Role.OPERATOR).status_code == 403
        assert "Add a policy" not in body(f"{LIST}policies/", Role.OPERATOR)


def test_the_overview_says_how_many(scene: Console) -> None:
    reading = troubled(timezone.now())
    assert reading is not None
    assert reading.shown == "2"
    assert "1 abandoned, 1 idle" in reading.sentence


def test_strangers_are_sent_to_the_login() -> None:
    assert Client().get(LIST).status_code == 302
