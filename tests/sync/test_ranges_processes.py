"""One organization walked by several real workers, which are killed and stopped in the middle of their ranges."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from opsconsole.demo.addresses import ServerAddresses
from opsconsole.demo.company import Size
from opsconsole.demo.gap import make_gap
from opsconsole.demo.processes import Child, identity, session_members
from tests.company import run_sql
from tests.sync.console import COUNTERS, Console, running_console

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # kafka-python leaves sockets behind when it is closed
]

# Chunks so small that there are hundreds of them: time enough to be hit in the middle.
SIZE = Size(organizations=3, tasks=2_500, largest=1_900)
CHUNK_ROWS = 8
LIMITS = {
    "chunk_rows": CHUNK_ROWS,
    "settle_time": "0s",
    "verify_timeout": "30s",
    "split_tasks": 200,
    "split_ranges": 4,
}
UNDER_WAY = CHUNK_ROWS
"""Tasks that one worker may have published and not yet written down."""

_seeds = iter(range(300, 400))


@pytest.fixture(scope="module")
def console(servers: ServerAddresses, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    indexer = (sys.executable, "-m", "opsconsole.demo.indexer")
    with running_console(servers, tmp_path_factory.mktemp("ranges"), "ranges", size=SIZE, limits=LIMITS) as made:
        names = {"INDEX_OWNER_DATABASE_URL": made.company.index_owner_url, "KAFKA_API_VERSION": "2.3"}
        with made.process("indexer", *indexer, **names, TASK_TOPIC=made.topic, TASK_CONSUMER_GROUP="ranges"):
            yield made


@dataclass(frozen=True)
class Split:
    """A sync job that will be split, and what a report by one worker that did not split it found."""

    number: int
    undivided: dict[str, int]

    @property
    def total(self) -> int:
        return self.undivided["scanned"]

    @property
    def lost(self) -> int:
        return sum(count for name, count in self.undivided.items() if name != "scanned")


@pytest.fixture
def split(console: Console) -> Split:
    make_gap(console.company.source_owner_url, seed=next(_seeds), size=150, organizations=1)
    organization = console.company.organizations()[0]
    estate = console.folder / "estate.toml"
    undivided = console.folder / "undivided.toml"
    undivided.write_text(estate.read_text().replace("split_tasks = 200", "split_tasks = 0"))
    reported = console.run("check_org", str(organization), OPSCONSOLE_ESTATE=str(undivided))
    assert reported["ranges"] == []
    return Split(console.queue_sync(organization), {name: reported[name] for name in COUNTERS})


def ranges(console: Console, number: int) -> list[tuple[int, str, str, int]]:
    """Number, state, worker and scanned tasks of each."""
    columns = "SELECT number, state, worker, scanned FROM sync_jobrange WHERE job_id = %s ORDER BY number"
    return [tuple(row) for row in run_sql(console.database_url, columns, number)]


def walking(console: Console, number: int) -> dict[str, int]:
    """The process of each worker that walks a range now; they have all written down something of it."""
    rows = run_sql(
        console.database_url,
        "SELECT r.worker, (SELECT pid FROM sync_attempt a WHERE a.job_id = r.job_id AND a.worker = r.worker"
        " ORDER BY id DESC LIMIT 1) FROM sync_jobrange r WHERE job_id = %s AND state = 'running' AND scanned > 0",
        number,
    )
    return dict(rows)


def both_in_the_middle(console: Console, split: Split) -> tuple[str, dict[str, int]]:
    """Until two workers walk ranges of the job. Returns the one that leads, and the processes of both."""
    console.wait("two workers walk", lambda: len(walking(console, split.number)) == 2)
    found = walking(console, split.number)
    leader = str(console.job(split.number)["worker"])
    assert leader in found
    return leader, found


def workers(console: Console, stack: ExitStack, count: int) -> list[Child]:
    return [stack.enter_context(console.worker(f"worker-{number}")) for number in range(count)]


def assert_as_undivided(console: Console, split: Split, *, killed: int = 0) -> None:
    """Done, with the result of one worker that did not split it: drift rows, counters, messages, the index.

    `killed` workers may have published what they could not write down any more; that is published again, or the indexer
    was quicker and it is not found a second time.
    """
    job = console.wait_for(split.number)
    open_chunks = killed * UNDER_WAY
    found = sum(job[kind] for kind in COUNTERS if kind != "scanned")
    assert job["scanned"] == split.total
    assert all(job[name] <= count for name, count in split.undivided.items())
    assert 0 <= split.lost - found <= open_chunks
    assert (job["published"], job["verified"], job["unresolved"]) == (found, found, 0)
    parts = ranges(console, split.number)
    assert {state for _, state, _, _ in parts} == {"done"}
    assert sum(scanned for *_, scanned in parts) == split.total
    assert console.company.drift() == 0
    times = Counter(record.key for record in console.messages_of(split.number))
    assert len(times) == split.lost
    assert sum(count - 1 for count in times.values()) <= open_chunks


def test_several_workers_find_what_one_finds(console: Console, split: Split) -> None:
    with ExitStack() as stack:
        workers(console, stack, 3)
        assert_as_undivided(console, split)
    assert len({worker for _, _, worker, _ in ranges(console, split.number)}) > 1
    shown = console.run("job", "show", str(split.number))
    assert [part["number"] for part in shown["ranges"]] == [1, 2, 3, 4]
    assert {part["state"] for part in shown["ranges"]} == {"done"}
    assert {attempt["range"] for attempt in shown["attempts"]} > {None}


@pytest.fixture
def slowly(console: Console) -> Iterator[None]:
    with console.held_to(10):
        yield


@pytest.fixture
def unhurried(console: Console) -> Iterator[None]:
    with console.held_to(40):
        yield


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("victim", ["helper", "leader", "both"])
def test_killed_in_the_middle_of_a_range(console: Console, split: Split, victim: str) -> None:
    with ExitStack() as stack:
        workers(console, stack, 2)
        leader, found = both_in_the_middle(console, split)
        victims = [pid for name, pid in found.items() if victim == "both" or (name == leader) == (victim == "leader")]
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        assert_as_undivided(console, split, killed=len(victims))
    killed = [pid for outcome, pid in console.attempts(split.number) if outcome == "killed"]
    assert set(killed) == set(victims)  # a helper may have begun its next range while the one before was written down


@pytest.mark.usefixtures("unhurried")
def test_a_worker_that_dies_whole_is_missed_by_its_silence(console: Console, split: Split) -> None:
    """Nobody is left to tell; the leader does not wait for it longer than it would for a job."""
    with ExitStack() as stack:
        children = workers(console, stack, 2)
        leader, found = both_in_the_middle(console, split)
        helper = next(pid for name, pid in found.items() if name != leader)
        whose = next(child for child in children if helper in session_members(child.pid))
        whose.kill()
        assert_as_undivided(console, split, killed=1)
    assert "vanished" in [outcome for outcome, _ in console.attempts(split.number)]


@pytest.mark.usefixtures("slowly")
def test_cancelled_means_that_nobody_walks_it_any_more(console: Console, split: Split) -> None:
    with ExitStack() as stack:
        workers(console, stack, 2)
        _, found = both_in_the_middle(console, split)
        console.run("job", "cancel", str(split.number), "--reason", "enough")
        job = console.wait_for(split.number, "cancelled")
        assert {state for _, state, _, _ in ranges(console, split.number)} <= {"waiting", "done"}
        assert {outcome for outcome, _ in console.attempts(split.number)} <= {"cancelled", "done"}
        console.wait("the processes ended", lambda: not any(map(identity, found.values())), 10)
    assert job["scanned"] < split.total
    rows = "SELECT count(*) FROM sync_drift WHERE job_id = %s"
    ((drift,),) = run_sql(console.database_url, rows, split.number)
    assert drift == job["published"] == len(console.messages_of(split.number))


@pytest.mark.usefixtures("unhurried")
def test_a_worker_that_is_stopped_hands_its_range_on(console: Console, split: Split) -> None:
    """A deployment: SIGTERM to both, and a third one does the rest, with nothing published twice."""
    with ExitStack() as stack:
        children = workers(console, stack, 2)
        both_in_the_middle(console, split)
        for child in children:
            child.send(signal.SIGTERM)
        console.wait("both ended", lambda: not any(child.alive for child in children), 15)
        assert not [state for _, state, _, _ in ranges(console, split.number) if state == "running"]
    with console.worker("third-worker"):
        assert_as_undivided(console, split)
    assert console.job(split.number)["error"] == ""
