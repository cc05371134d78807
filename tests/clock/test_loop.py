"""The clock's loop: what is due is done by the one that leads, and nothing stops the rest."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from django.db import IntegrityError, OperationalError, ProgrammingError, connection
from django.db.models.functions import Now

from opsconsole.clock import duties
from opsconsole.clock.duties import Duty
from opsconsole.clock.lease import LEASE_SECONDS, RENEW_SECONDS, LeaseKeeper
from opsconsole.clock.loop import LONGEST_WAIT, ClockLoop
from opsconsole.demo.addresses import ServerAddresses
from opsconsole.demo.processes import Child, Command, wait_until
from opsconsole.models import Lease
from tests.company import at_database

pytest_plugins = ["tests.fixtures_sync"]

BASE = Path(__file__).resolve().parents[2]


class Time:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class FakeKeeper(LeaseKeeper):
    """A lease without a database: `free` says whether it is to be had, `error` what asking for it raises."""

    def __init__(self) -> None:
        super().__init__("tests")
        self.free = True
        self.error: Exception | None = None
        self.asked = 0
        self.given_back = 0

    def hold(self) -> bool:
        self.asked += 1
        if self.error:
            raise self.error
        return self.free

    def give_back(self) -> None:
        self.given_back += 1


class Bench:
    """A loop with a turned clock and duties that write down when they were done."""

    def __init__(self) -> None:
        self.time = Time()
        self.keeper = FakeKeeper()
        self.stop = threading.Event()
        self.done: list[tuple[str, float]] = []
        self.errors: dict[str, Exception] = {}

    def duty(self, name: str, every: float) -> Duty:
        def act() -> None:
            self.done.append((name, self.time.now - 1_000.0))
            if name in self.errors:
                raise self.errors[name]

        return Duty(name, every, act)

    def loop(self, *made: Duty) -> ClockLoop:
        return ClockLoop(self.keeper, made, self.stop, self.time)

    def run_for(self, loop: ClockLoop, seconds: int) -> None:
        for _ in range(seconds):
            loop.step()
            self.time.now += 1


@pytest.fixture
def bench(db: None) -> Bench:
    return Bench()


def test_every_duty_is_done_when_it_is_due(bench: Bench) -> None:
    bench.run_for(bench.loop(bench.duty("often", 2), bench.duty("seldom", 5)), 6)
    assert bench.done == [("often", 0), ("seldom", 0), ("often", 2), ("often", 4), ("seldom", 5)]


def test_without_the_lease_nothing_is_done(bench: Bench) -> None:
    bench.keeper.free = False
    loop = bench.loop(bench.duty("one", 1))
    bench.run_for(loop, 3)
    assert bench.done == []
    assert bench.keeper.asked == 3  # a standby asks every second
    bench.keeper.free = True
    bench.run_for(loop, 1)
    assert bench.done == [("one", 3)]


def test_a_leader_renews_in_good_time(bench: Bench) -> None:
    bench.run_for(bench.loop(bench.duty("one", 1)), int(2 * RENEW_SECONDS) + 1)
    assert bench.keeper.asked == 3


def test_losing_the_lease_ends_the_work_at_once(bench: Bench) -> None:
    loop = bench.loop(bench.duty("one", 1))
    loop.step()
    bench.keeper.free = False
    bench.time.now += RENEW_SECONDS
    assert loop.step() == 0
    assert bench.done == [("one", 0)]


def test_a_pause_longer_than_the_lease_is_noticed_before_the_next_duty(bench: Bench) -> None:
    """Stopped by a signal or a suspended machine, it wakes up in the middle of a round when another leads."""

    def sleep_long() -> None:
        bench.time.now += LEASE_SECONDS + 1
        bench.keeper.free = False

    loop = bench.loop(Duty("stopped in here", 1, sleep_long), bench.duty("not ours any more", 1))
    assert loop.step() == 1
    assert bench.done == []


@pytest.mark.parametrize("error", [ValueError("broken"), IntegrityError("duplicate key")])
def test_a_broken_duty_does_not_stop_the_others(
    bench: Bench, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    bench.errors["broken"] = error
    bench.run_for(bench.loop(bench.duty("broken", 1), bench.duty("sound", 1)), 2)
    assert bench.done == [("broken", 0), ("sound", 0), ("broken", 1), ("sound", 1)]
    assert "duty broken failed" in caplog.text
    assert bench.keeper.asked == 1


def test_a_database_that_is_away_is_waited_for(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.errors["one"] = OperationalError("server closed the connection unexpectedly")
    loop = bench.loop(bench.duty("one", 1), bench.duty("two", 1))
    assert loop.step() == 0
    assert "the console's database is away: server closed the connection" in caplog.text
    bench.keeper.error = OperationalError("connection refused")
    bench.time.now += 1
    assert loop.step() == 0
    bench.keeper.error = None
    del bench.errors["one"]
    bench.time.now += 1
    assert loop.step() == 2
    assert bench.keeper.asked == 3  # after an outage the lease is asked for again


def test_a_database_that_is_not_migrated_yet_is_waited_for(bench: Bench) -> None:
    bench.keeper.error = ProgrammingError('relation "opsconsole_lease" does not exist')
    assert bench.loop(bench.duty("one", 1)).step() == 0


def test_a_lost_connection_is_made_anew(committed: None) -> None:
    """The server ends the clock's connection; the next round but one works."""
    seen: list[int] = []
    loop = ClockLoop(
        LeaseKeeper("tests"), [Duty("count", 0, lambda: seen.append(Lease.objects.count()))], threading.Event()
    )
    assert loop.step() == 1
    with connection.cursor() as cursor, pytest.raises(OperationalError):
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert wait_until(lambda: loop.step() == 1, 5)
    assert seen == [1, 1]


def test_told_to_stop_it_gives_the_lease_back(bench: Bench) -> None:
    loop = bench.loop(Duty("stop", 1, bench.stop.set))
    loop.run()
    assert bench.keeper.given_back == 1


def test_a_standby_has_nothing_to_give_back(bench: Bench) -> None:
    bench.keeper.free = False
    threading.Timer(0.05, bench.stop.set).start()
    bench.loop().run()
    assert bench.keeper.given_back == 0


def test_a_stop_is_not_waited_for(bench: Bench) -> None:
    """The wait between two rounds ends with the signal, not after it."""
    worker = threading.Thread(target=bench.loop().run)
    bench.keeper.error = None
    worker.start()
    bench.stop.set()
    worker.join(LONGEST_WAIT * 5)
    assert not worker.is_alive()


def test_the_duties_of_sync_are_registered() -> None:
    registered = {duty.name: duty.every for duty in duties.registered()}
    assert registered["sync.reconcile"] <= 5
    assert any("batches" in name for name in registered)


class TestProcesses:
    """Two real clocks. Each says who leads through the lease's row; its holder ends with the process's number."""

    @pytest.fixture
    def clocks(self, committed: None, servers: ServerAddresses, tmp_path: Path) -> Iterator[dict[int, Child]]:
        """Two clocks by their process ids, one of them leading."""
        with ExitStack() as stack:
            started = [stack.enter_context(self.clock(name, servers, tmp_path)) for name in ("one", "two")]
            clocks = {child.pid: child for child in started}
            assert wait_until(lambda: self.leader() in clocks, 20), self.logs(started)
            # The other one must have come up, too, to be a standby.
            assert wait_until(lambda: all("stands by" in self.log(child) for child in self.others(clocks)), 20)
            yield clocks

    @staticmethod
    @contextmanager
    def clock(name: str, servers: ServerAddresses, folder: Path) -> Iterator[Child]:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "opsconsole.settings",
            "DATABASE_URL": at_database(servers.database_url, str(connection.settings_dict["NAME"])),
        }
        command = Command(name, (sys.executable, str(BASE / "manage.py"), "clock"), environment=environment)
        child = Child(command, folder)
        child.start()
        try:
            yield child
        finally:
            child.stop()

    @staticmethod
    def leader() -> int:
        holder = Lease.objects.filter(expires_at__gt=Now()).values_list("holder", flat=True).first()
        return int(holder.split(":")[1]) if holder else 0

    def others(self, clocks: dict[int, Child]) -> list[Child]:
        leader = self.leader()
        return [child for pid, child in clocks.items() if pid != leader]

    @staticmethod
    def log(child: Child) -> str:
        return child.log_path.read_text()

    def logs(self, children: list[Child]) -> str:
        return "\n".join(self.log(child)[-2_000:] for child in children)

    def test_a_stopped_leader_is_followed_at_once(self, clocks: dict[int, Child]) -> None:
        (standby,) = self.others(clocks)
        leader = clocks[self.leader()]
        leader.send(signal.SIGTERM)
        assert wait_until(lambda: self.leader() == standby.pid, 5), self.logs([leader, standby])
        assert wait_until(lambda: not leader.alive, 5)
        assert leader.exit_status == 0

    def test_a_killed_leader_is_followed_when_its_lease_ends(self, clocks: dict[int, Child]) -> None:
        (standby,) = self.others(clocks)
        leader = clocks[self.leader()]
        leader.kill()
        # The rest of its fifteen seconds are not waited for: nobody renews the lease any more.
        Lease.objects.update(expires_at=Now())
        assert wait_until(lambda: self.leader() == standby.pid, 5), self.logs([leader, standby])
        assert Lease.objects.get().fence == 2


class TestSlowDuties:
    def test_the_others_do_not_wait_for_it_and_it_is_not_begun_twice(self, bench: Bench) -> None:
        let_go, begun = threading.Event(), []

        def ask_slowly() -> None:
            begun.append(bench.time.now)
            let_go.wait(10)

        loop = bench.loop(Duty("slow", 1, ask_slowly, slow=True), bench.duty("prompt", 1))
        bench.run_for(loop, 3)
        assert [name for name, _ in bench.done] == ["prompt"] * 3
        assert wait_until(lambda: len(begun) == 1, 5)
        let_go.set()
        assert wait_until(loop._under_way["slow"].done, 5)
        bench.run_for(loop, 1)
        assert wait_until(lambda: len(begun) == 2, 5)

    def test_it_is_not_begun_where_it_is_not_wanted(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        begun: list[int] = []
        cannot_tell = iter([False, True])

        def wanted() -> bool:
            if next(cannot_tell):
                raise ValueError("cannot tell")
            return False

        loop = bench.loop(Duty("slow", 1, lambda: begun.append(1), slow=True, wanted=wanted))
        bench.run_for(loop, 1)
        assert "slow" not in loop._under_way
        bench.run_for(loop, 1)  # one that cannot tell is begun: then it says itself what is wrong
        assert wait_until(lambda: begun == [1], 5)
        assert "whether duty slow is wanted cannot be told" in caplog.text

    def test_its_failure_is_logged(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        def fail() -> None:
            raise ValueError("broken")

        loop = bench.loop(Duty("slow", 1, fail, slow=True))
        loop.step()
        assert wait_until(lambda: "duty slow failed" in caplog.text, 5)

    def test_told_to_stop_it_is_waited_for(self, bench: Bench) -> None:
        ended = []

        def ask() -> None:
            bench.stop.set()
            ended.append(bench.keeper.given_back)

        bench.loop(Duty("slow", 1, ask, slow=True)).run()
        assert ended == [0]
        assert bench.keeper.given_back == 1
