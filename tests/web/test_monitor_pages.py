"""Pages of monitors: how they stand, who may, twice in a row, and mistakes kept as they were typed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from monitoring.schedules.models import Monitor, PingKey
from monitoring.schedules.operations.watching import fold_pings
from monitoring.schedules.pings import Status
from opsconsole.access import Role
from opsconsole.models import AuditEntry
from tests.web.sync_rows import HOSTILE, MOST_QUERIES, client_of

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.usefixtures("committed", "use_estate")

LIST = "/schedules/monitors/"
FORM = {
    "name": "backup",
    "key": "",
    "period": "1d",
    "cron": "",
    "zone": "UTC",
    "grace": "1h",
    "time_limit": "30m",
    "failures_to_open": "1",
    "successes_to_close": "1",
}
HOUR = timedelta(hours=1)


def make_monitor(name: str = "backup", **fields: Any) -> Monitor:
    return Monitor.objects.create(name=name, **({"period": timedelta(days=1)} | fields))


def ping(monitor: Monitor, said: str = "", body: str = "") -> None:
    Client().post(f"/ping/{monitor.code}{said}", body, content_type="text/plain")
    fold_pings()
    monitor.refresh_from_db()


def page_of(monitor: Monitor, role: Role = Role.VIEWER, query: str = "") -> str:
    answer = client_of(role).get(f"{LIST}{monitor.pk}/{query}")
    assert answer.status_code == 200, answer.content.decode()
    return answer.content.decode()


class TestShown:
    def test_each_status_of_the_list_in_few_queries(self) -> None:
        key, now = PingKey.objects.create(name="team", created_by="ann"), timezone.now()
        make_monitor("a-new", key=key)
        make_monitor("b-up", stored="up", last_ping=now, key=key)
        make_monitor("c-late", stored="up", last_ping=now - timedelta(days=1, minutes=5), key=key)
        make_monitor("d-overdue", stored="up", last_ping=now - timedelta(days=2), key=key)
        make_monitor("e-paused", stored="paused", key=key)
        client = client_of(Role.VIEWER)
        with CaptureQueriesContext(connection) as queries:
            page = client.get(LIST).content.decode()
        assert len(queries) <= MOST_QUERIES
        badges = ['ended">New', 'fine">Up', 'waiting">Late', 'problem">Down', 'waiting">Paused']
        places = [page.index(badge) for badge in badges]
        assert places == sorted(places)

    def test_a_run_under_way_is_shown_over_the_status(self) -> None:
        monitor = make_monitor()
        ping(monitor, "/start")
        assert "run under way" in page_of(monitor)
        ping(monitor)
        assert "run under way" not in page_of(monitor)

    def test_its_address_its_trouble_and_its_pings_with_what_they_said(self) -> None:
        monitor = make_monitor()
        ping(monitor, body=HOSTILE)
        ping(monitor, "/3")
        page = page_of(monitor)
        assert f"http://testserver/ping/{monitor.code}" in page
        assert "It said that it failed." in page
        assert "exit status 3" in page
        assert HOSTILE not in page
        assert "&lt;script&gt;" in page
        assert "exit status 3" not in page_of(monitor, query="?kind=success")
        assert client_of(Role.VIEWER).get(f"{LIST}{monitor.pk}/?kind=x").status_code == 400

    def test_a_key_is_shown_to_those_who_may_change_it_only(self) -> None:
        key = PingKey.objects.create(name="team", created_by="ann")
        monitor = make_monitor(key=key)
        assert key.key not in page_of(monitor, Role.OPERATOR)
        assert key.key in page_of(monitor, Role.ADMINISTRATOR)

    def test_what_is_not_there_is_404(self) -> None:
        assert client_of(Role.ADMINISTRATOR).get(f"{LIST}1/").status_code == 404


class TestChanged:
    def test_added_once_and_changed(self) -> None:
        client = client_of(Role.ADMINISTRATOR)
        assert client.get(f"{LIST}add/").status_code == 200
        address = client.post(f"{LIST}add/", FORM)["Location"]
        assert b"already" in client.post(f"{LIST}add/", FORM).content
        assert client.get(f"{address}edit/").status_code == 200
        client.post(f"{address}edit/", FORM | {"period": "", "cron": "0 3 * * *", "zone": "Europe/Paris"})
        monitor = Monitor.objects.get()
        assert (monitor.period, str(monitor.schedule)) == (None, "0 3 * * * (Europe/Paris)")
        assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True)) == [
            "monitor.added",
            "monitor.changed",
        ]

    def test_new_rules_move_the_deadline(self) -> None:
        monitor = make_monitor()
        ping(monitor)
        client_of(Role.ADMINISTRATOR).post(f"{LIST}{monitor.pk}/edit/", FORM | {"period": "2d"})
        before = monitor.deadline
        monitor.refresh_from_db()
        assert before is not None
        assert monitor.deadline == before + timedelta(days=1)

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"period": "", "cron": "99 * * * *"}, "the minute is not valid"),
            ({"period": ""}, "one of the two"),
            ({"cron": "0 3 * * *"}, "one of the two"),
            ({"period": "0s"}, "is allowed"),
            ({"grace": "soon"}, "is no duration"),
            ({"failures_to_open": "0"}, "greater than or equal to 1"),
            ({"name": "Bad Name"}, "small letters"),
        ],
    )
    def test_a_mistake_is_named_and_what_was_typed_kept(self, changes: dict[str, str], said: str) -> None:
        answer = client_of(Role.ADMINISTRATOR).post(f"{LIST}add/", FORM | {"owner": "typed by hand"} | changes)
        page = answer.content.decode()
        assert answer.status_code == 400
        assert said in page
        assert "typed by hand" in page
        assert not Monitor.objects.exists()

    def test_paused_and_resumed_silently_each_once(self) -> None:
        monitor = make_monitor(manual_resume=True)
        ping(monitor)
        client, address = client_of(Role.ADMINISTRATOR), f"{LIST}{monitor.pk}/"
        assert client.post(f"{address}pause/", {"reason": ""}).status_code == 400
        assert client.post(f"{address}pause/", {"reason": "Moving"}).status_code == 302
        assert b"paused already" in client.post(f"{address}pause/", {"reason": "x"}).content
        ping(monitor, "/fail")
        assert (monitor.status_at(timezone.now()), monitor.deadline) == (Status.PAUSED, None)
        assert client.post(f"{address}resume/", {"reason": "Moved"}).status_code == 302
        assert b"is not paused" in client.post(f"{address}resume/", {"reason": "x"}).content
        monitor.refresh_from_db()
        assert monitor.status_at(timezone.now()) is Status.NEW
        assert AuditEntry.objects.filter(action__in=["monitor.paused", "monitor.resumed"]).count() == 2

    def test_a_ping_key_is_added_once(self) -> None:
        client = client_of(Role.ADMINISTRATOR)
        assert client.post("/schedules/keys/", {"name": "team"}).status_code == 302
        assert client.post("/schedules/keys/", {"name": "team"}).status_code == 400
        key = PingKey.objects.get()
        assert key.key in client.get("/schedules/keys/").content.decode()
        assert key.key not in str(AuditEntry.objects.get().details)


@pytest.mark.parametrize("address", ["monitors/add/", "monitors/1/edit/", "monitors/1/pause/", "keys/"])
def test_who_may_not(address: str) -> None:
    assert client_of(Role.OPERATOR).get(f"/schedules/{address}").status_code == 403
    assert client_of(Role.OPERATOR).post(f"/schedules/{address}", {"reason": "r"}).status_code == 403


def test_what_only_shows_takes_no_post() -> None:
    assert client_of(Role.ADMINISTRATOR).post(LIST).status_code == 405
