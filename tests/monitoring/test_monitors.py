"""Pings as they come over HTTP, and what the clock makes of them and of silence."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from monitoring.schedules.models import BODY_BYTES, BURST, Looked, Monitor, Ping, PingKey
from monitoring.schedules.operations.looking import look
from monitoring.schedules.operations.watching import fold_pings, notice_silence
from monitoring.schedules.pings import Status, Trouble
from monitoring.schedules.signals import monitor_changed

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.usefixtures("committed")

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
RID = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def heard() -> Iterator[list[tuple[int, Trouble | None]]]:
    received: list[tuple[int, Trouble | None]] = []

    def listen(sender: object, *, monitor_id: int, trouble: Trouble | None, **_: Any) -> None:
        received.append((monitor_id, trouble))

    monitor_changed.connect(listen, dispatch_uid="tests")
    yield received
    monitor_changed.disconnect(dispatch_uid="tests")


def make_monitor(**fields: Any) -> Monitor:
    values: dict[str, Any] = {"name": f"job-{uuid4().hex[:8]}", "period": DAY}
    return Monitor.objects.create(**(values | fields))


def ping(monitor: Monitor, said: str = "", method: str = "get", **data: str) -> tuple[int, str]:
    answer = getattr(Client(), method)(f"/ping/{monitor.code}{said and '/' + said}", data)
    return answer.status_code, answer.content.decode()


def status(monitor: Monitor, now: datetime | None = None) -> Status:
    fold_pings()
    monitor.refresh_from_db()
    return monitor.status_at(now or timezone.now())


class TestAddresses:
    @pytest.mark.parametrize("method", ["get", "head", "post"])
    def test_a_ping_needs_no_login_and_is_answered_ok(self, method: str) -> None:
        monitor = make_monitor()
        assert ping(monitor, method=method) == (200, "" if method == "head" else "OK")
        assert status(monitor) is Status.UP

    @pytest.mark.parametrize(("said", "wanted"), [("0", Status.UP), ("1", Status.DOWN), ("255", Status.DOWN)])
    def test_an_exit_status_is_a_success_or_a_failure(self, said: str, wanted: Status) -> None:
        monitor = make_monitor()
        assert ping(monitor, said)[0] == 200
        assert status(monitor) is wanted
        assert Ping.objects.get().exit_status == int(said)

    @pytest.mark.parametrize("said", ["256", "99999999999999999999", "-1", "begin", "٣"])
    def test_anything_else_is_400(self, said: str) -> None:
        monitor = make_monitor()
        assert ping(monitor, said) == (400, "invalid url format")
        assert not Ping.objects.exists()

    def test_a_run_id_must_be_a_uuid(self) -> None:
        assert ping(make_monitor(), rid="seven") == (400, "invalid uuid format")

    def test_start_and_log(self) -> None:
        monitor = make_monitor()
        ping(monitor)
        ping(monitor, "start", rid=RID)
        ping(monitor, "log", "post")
        assert status(monitor) is Status.UP
        assert list(monitor.open_runs) == [RID]
        ping(monitor, rid=RID)
        status(monitor)
        assert (monitor.open_runs, Ping.objects.latest("pk").duration is None) == ({}, False)

    def test_an_unknown_address_is_404_and_says_nothing(self) -> None:
        answer = Client().get(f"/ping/{uuid4()}")
        assert (answer.status_code, answer.content) == (404, b"not found")

    def test_a_body_is_kept_up_to_ten_kilobytes(self) -> None:
        monitor = make_monitor()
        Client().post(f"/ping/{monitor.code}/fail", b"x" * 20_000, content_type="text/plain")
        assert len(Ping.objects.get().body) == BODY_BYTES

    def test_under_a_key_and_a_name(self) -> None:
        key = PingKey.objects.create(name="backups", created_by="tests")
        assert Client().get(f"/ping/{key.key}/nightly").status_code == 404
        assert Client().get(f"/ping/{key.key}/nightly?create=1").status_code == 201
        assert Client().get(f"/ping/{key.key}/nightly?create=1").status_code == 200
        assert Client().get(f"/ping/{key.key}/nightly/fail").status_code == 200
        monitor = Monitor.objects.get(key=key)
        assert status(monitor) is Status.DOWN
        assert Client().get("/ping/no-such-key/nightly?create=1").status_code == 404

    def test_a_ping_is_one_round_trip(self) -> None:
        monitor = make_monitor()
        with CaptureQueriesContext(connection) as seen:
            ping(monitor, "start", rid=RID)
        assert len(seen) == 1

    def test_a_flood_is_limited_and_its_last_ping_still_counts(self) -> None:
        monitor = make_monitor()
        assert monitor.tokens == BURST
        Monitor.objects.update(tokens=2, tokens_at=timezone.now())
        assert [ping(monitor)[0] for _ in range(4)] == [200, 200, 429, 429]
        assert ping(monitor, "fail")[0] == 429
        assert status(monitor) is Status.DOWN
        assert Ping.objects.count() == 2

    @pytest.mark.parametrize(("minutes", "tokens"), [(1, 10), (2, 20), (30, BURST)])
    def test_the_limit_fills_again_by_ten_a_minute_up_to_the_burst(self, minutes: int, tokens: int) -> None:
        monitor = make_monitor(tokens=0, tokens_at=timezone.now() - minutes * MINUTE)
        assert ping(monitor)[0] == 200
        monitor.refresh_from_db()
        assert monitor.tokens == pytest.approx(tokens - 1, abs=1)


class TestSilence:
    def test_down_at_the_deadline_once(self, heard: list[Any]) -> None:
        monitor = make_monitor()
        ping(monitor)
        fold_pings()
        monitor.refresh_from_db()
        assert monitor.last_ping is not None
        ends = monitor.last_ping + DAY + HOUR
        assert monitor.deadline == ends
        assert notice_silence(ends - timedelta(seconds=1)) == 0
        assert notice_silence(ends) == 1
        assert notice_silence(ends + DAY) == 0
        assert heard == [(monitor.pk, Trouble.MISSING_START)]
        monitor.refresh_from_db()
        assert (monitor.status_at(ends), monitor.trouble_since) == (Status.DOWN, ends)

    def test_a_ping_that_came_is_no_silence(self, heard: list[Any]) -> None:
        monitor = make_monitor()
        ping(monitor)
        fold_pings()
        Monitor.objects.update(last_ping=timezone.now() - 2 * DAY, deadline=timezone.now() - MINUTE)
        ping(monitor)
        look(timezone.now())
        # Down since its deadline, and up again with the ping that came after it.
        assert [trouble for _, trouble in heard] == [Trouble.MISSING_START, None]
        assert status(monitor) is Status.UP

    def test_our_own_downtime_is_not_blamed_on_the_job(self, heard: list[Any]) -> None:
        monitor = make_monitor()
        now = timezone.now()
        Looked.objects.create(name="detector", at=now - 3 * HOUR)
        Monitor.objects.update(stored="up", last_ping=now - DAY - 2 * HOUR, deadline=now - HOUR)
        look(now)
        assert heard == []
        monitor.refresh_from_db()
        assert monitor.deadline == now + 2 * HOUR
        look(now + timedelta(seconds=50))
        look(now + timedelta(seconds=100))
        Looked.objects.update(at=now + 2 * HOUR)
        look(now + 2 * HOUR)
        assert heard == [(monitor.pk, Trouble.MISSING_START)]

    def test_what_fell_due_before_we_went_away_is_noticed(self, heard: list[Any]) -> None:
        now = timezone.now()
        Looked.objects.create(name="detector", at=now - HOUR)
        make_monitor(stored="up", last_ping=now - 3 * DAY, deadline=now - 2 * HOUR)
        look(now)
        assert len(heard) == 1

    def test_statements_do_not_grow_with_the_pings(self) -> None:
        counts = []
        for number in (2, 20):
            for _ in range(number):
                ping(make_monitor())
            with CaptureQueriesContext(connection) as seen:
                assert fold_pings() == number
            counts.append(len(seen))
        assert counts[0] == counts[1]


def test_a_key_is_never_a_uuid() -> None:
    for _ in range(100):
        with pytest.raises(ValueError, match="badly formed"):
            UUID(PingKey().key)
