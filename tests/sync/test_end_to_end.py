"""The main job through real processes: worker, clock, indexer and commands, and what killing them costs (nothing)."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import redis

from opsconsole.demo.addresses import ServerAddresses
from opsconsole.demo.company import Size
from opsconsole.demo.gap import Gap, make_gap
from opsconsole.demo.processes import identity, session_members
from opsconsole.demo.servers import EmbeddedServers
from tests.company import Company
from tests.sync.console import COUNTERS, Console, running_console

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # kafka-python leaves sockets behind when it is closed
]

# Below the size from which an organization is walked in packed chunks, and in chunks so small that there are hundreds
# of them: time enough to be hit in the middle, and a bound on what may be published twice.
SIZE = Size(organizations=20, tasks=5_000, largest=1_700)
CHUNK_ROWS = 8
NAME = "end_to_end"


@pytest.fixture(scope="module")
def console(servers: ServerAddresses, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    limits = {"chunk_rows": CHUNK_ROWS, "settle_time": "0s", "verify_timeout": "30s"}
    with running_console(servers, tmp_path_factory.mktemp(NAME), NAME, size=SIZE, limits=limits) as made:
        names = {"INDEX_OWNER_DATABASE_URL": made.company.index_owner_url, "KAFKA_API_VERSION": "2.3"}
        indexer = (sys.executable, "-m", "opsconsole.demo.indexer")
        with made.process("indexer", *indexer, **names, TASK_TOPIC=made.topic, TASK_CONSUMER_GROUP=NAME):
            yield made


_seeds = iter(range(100, 200))


def lose_messages(company: Company, *, organizations: int = 1, size: int = 120) -> Gap:
    return make_gap(company.source_owner_url, seed=next(_seeds), size=size, organizations=organizations)


@dataclass(frozen=True)
class Disturbed:
    """A sync job of the largest organization that is to be disturbed, and what an undisturbed check of it found."""

    number: int
    undisturbed: dict[str, int]
    lost: int

    @property
    def total(self) -> int:
        return self.undisturbed["scanned"]


@pytest.fixture
def disturbed(console: Console) -> Iterator[Disturbed]:
    """Held to a rate at which the job takes some seconds, for somebody to disturb it in its middle."""
    gap = lose_messages(console.company)
    organization = console.company.organizations()[0]
    reported = console.run("check_org", str(organization))
    undisturbed = {name: reported[name] for name in COUNTERS}
    with console.held_to(40):
        yield Disturbed(console.queue_sync(organization), undisturbed, gap.lost)


def assert_as_undisturbed(console: Console, disturbed: Disturbed, *, open_chunk: int) -> None:
    """Done, every lost task published, no drift left, and the counters of an undisturbed run.

    `open_chunk` tasks may have been published by an attempt that died before it could commit them. The next attempt
    publishes those a second time, or finds that the indexer was quicker and does not count them.
    """
    job = console.wait_for(disturbed.number)
    found = sum(job[kind] for kind in COUNTERS if kind != "scanned")
    assert job["scanned"] == disturbed.total
    assert all(job[name] <= count for name, count in disturbed.undisturbed.items())
    assert 0 <= disturbed.lost - found <= open_chunk
    assert (job["published"], job["verified"], job["unresolved"]) == (found, found, 0)
    assert console.company.drift() == 0
    times = Counter(record.key for record in console.messages_of(disturbed.number))
    assert len(times) == disturbed.lost
    assert set(times.values()) <= {1, 2}
    assert sum(count == 2 for count in times.values()) <= open_chunk


def test_affected_stage_sync_verify(console: Console) -> None:
    """The main job as an operator does it: find, stage, check in a batch, republish, see the index catch up."""
    gap = lose_messages(console.company, organizations=6, size=200)
    assert console.company.drift() == gap.lost > 0
    window = ("--from", gap.window_from.isoformat(), "--to", gap.window_to.isoformat())
    found = console.run("affected_orgs", *window)["organizations"]
    ids = [row["id"] for row in found]
    assert {f"s-{organization}" for organization in gap.organizations} <= set(ids)
    assert console.run("stage_orgs", "-", given="\n".join(ids))["staged"] == len(ids)
    with console.worker():
        batch = console.run("process_batch", "--size", "50", "--sync", "--wait")
    totals = batch["totals"]
    assert (batch["state"], {job["state"] for job in batch["jobs"]}) == ("done", {"done"})
    assert totals["drift"] == totals["published"] == totals["verified"] == gap.lost
    assert totals["unresolved"] == 0
    assert console.company.drift() == 0


def test_a_killed_work_horse_costs_one_chunk_at_most(console: Console, disturbed: Disturbed) -> None:
    with console.worker() as worker:
        horse = console.wait_for_the_middle(disturbed.number, disturbed.total)
        assert horse in session_members(worker.pid)
        os.kill(horse, signal.SIGKILL)
        assert_as_undisturbed(console, disturbed, open_chunk=CHUNK_ROWS)
        assert worker.alive
    assert [outcome for outcome, _ in console.attempts(disturbed.number)] == ["killed", "done"]


def test_a_killed_worker_takes_its_horse_along_and_another_goes_on(console: Console, disturbed: Disturbed) -> None:
    """Found by the silence of its heartbeat; nobody is left to tell."""
    with console.worker("first-worker") as first:
        horse = console.wait_for_the_middle(disturbed.number, disturbed.total)
        first.kill()
        console.wait("the horse died with its parent", lambda: not identity(horse), 5)
    before = console.job(disturbed.number)
    assert before["scanned"] < disturbed.total
    with console.worker("second-worker"):
        assert_as_undisturbed(console, disturbed, open_chunk=CHUNK_ROWS)
    assert [outcome for outcome, _ in console.attempts(disturbed.number)] == ["vanished", "done"]


def test_a_stopped_worker_ends_at_a_checkpoint_and_another_goes_on(console: Console, disturbed: Disturbed) -> None:
    with console.worker("first-worker") as first:
        console.wait_for_the_middle(disturbed.number, disturbed.total)
        first.send(signal.SIGTERM)
        console.wait("the worker ended", lambda: not first.alive, 10)
        assert first.exit_status == 0, console.logs()
    stopped = console.job(disturbed.number)
    assert (stopped["state"], 0 < stopped["scanned"] < disturbed.total) == ("queued", True)
    begun = time.monotonic()
    with console.worker("second-worker"):
        assert_as_undisturbed(console, disturbed, open_chunk=0)
    assert time.monotonic() - begun < 30
    assert [outcome for outcome, _ in console.attempts(disturbed.number)] == ["hibernated", "done"]


def test_a_held_back_batch_hears_a_stop_and_a_change_while_it_waits(console: Console) -> None:
    """Two messages a second make minutes of it, until somebody lifts the limit."""
    gap = lose_messages(console.company)
    console.run("stage_orgs", str(gap.organizations[0]))
    batch = console.run("process_batch", "--size", "1", "--sync", "--messages-per-second", "2")
    number = int(batch["jobs"][0]["job"])
    sentence = f"Publishing is held to 2 messages a second, the rate of batch {batch['batch']}."
    shown = lambda: console.run("job", "show", str(number))["waits_for"] == sentence  # noqa: E731
    with console.worker("first-worker") as first:
        console.wait("the job says that it is held back", shown)
        first.send(signal.SIGTERM)
        console.wait("the worker ended", lambda: not first.alive, 10)
    assert console.job(number)["state"] == "queued"
    with console.worker("second-worker"):
        console.wait("the job says that it is held back", shown)
        console.run("throttle_batch", str(batch["batch"]), "--messages-per-second", "none")
        job = console.wait_for(number)
    assert (job["verified"], job["unresolved"]) == (job["published"], 0)
    assert console.company.drift() == 0
    assert [outcome for outcome, _ in console.attempts(number)] == ["hibernated", "done"]


def test_a_worker_at_work_outlives_a_restart_of_redis(
    console: Console, disturbed: Disturbed, embedded_servers: EmbeddedServers
) -> None:
    with console.worker() as worker:
        console.wait_for_the_middle(disturbed.number, disturbed.total)
        embedded_servers.stop_valkey()
        console.wait_for(disturbed.number)
        embedded_servers.start_valkey()
        gap = lose_messages(console.company, size=5)
        console.wait_for(console.queue_sync(gap.organizations[0]))
        assert worker.alive
    assert [outcome for outcome, _ in console.attempts(disturbed.number)] == ["done"]


def test_a_worker_that_starts_while_redis_is_away_waits_for_it(
    console: Console, embedded_servers: EmbeddedServers
) -> None:
    number = console.queue_sync(lose_messages(console.company, size=5).organizations[0])
    embedded_servers.stop_valkey()
    with console.worker("early-worker") as worker:
        console.wait("the worker misses Redis", lambda: "Redis is away" in worker.log_path.read_text())
        embedded_servers.start_valkey()
        console.wait_for(number)
        assert worker.alive


def test_a_worker_that_is_told_to_stop_does_not_wait_for_redis(
    console: Console, disturbed: Disturbed, embedded_servers: EmbeddedServers
) -> None:
    with console.worker() as worker:
        console.wait_for_the_middle(disturbed.number, disturbed.total)
        embedded_servers.stop_valkey()
        try:
            worker.send(signal.SIGTERM)
            console.wait("the worker ended", lambda: not worker.alive, 20)
        finally:
            embedded_servers.start_valkey()
    assert console.job(disturbed.number)["state"] == "queued"
    with console.worker():
        console.wait_for(disturbed.number)


def test_a_flushed_redis_loses_no_job(console: Console) -> None:
    gap = lose_messages(console.company, organizations=5, size=60)
    console.run("stage_orgs", *map(str, gap.organizations))
    jobs = [job["job"] for job in console.run("process_batch", "--sync")["jobs"]]
    assert len(jobs) == 5
    with redis.Redis.from_url(console.redis_url) as queue:
        queue.flushall()
        assert queue.dbsize() == 0
    with console.worker():
        for number in jobs:
            console.wait_for(number)
    assert console.company.drift() == 0
