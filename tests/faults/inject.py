"""The faults themselves: each strikes the stage, and what went away by it comes back after a while.

A process that was killed is started again at once, as a process manager would; the job of a worker is then another's.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from random import Random

import psycopg

from opsconsole.demo.broker import PARTITIONS
from opsconsole.demo.processes import Child, send, session_members
from tests.faults import fulldisk
from tests.faults.indexserver import Mood
from tests.faults.machines import MachinesStage
from tests.faults.moments import Held
from tests.faults.plan import Fault
from tests.faults.stage import TOPIC, Stage
from tests.faults.victims import children_of, is_stopped, moves, owner_of_port, worker_of

RUNNING = "SELECT pid, job_id FROM sync_attempt WHERE outcome = 'running' ORDER BY (job_id = %s) DESC, id DESC"
TAKEN_OVER = 60.0
STOPPED = 40.0


@dataclass(frozen=True, slots=True)
class Victim:
    """The worker to be struck, its child at work (None: it has none), and that child's job (None: not known)."""

    worker: Child
    child: int | None
    job: int | None


def choose_victim(stage: Stage, held: Held | None, rng: Random) -> Victim:
    """Who is held, else somebody at work, else anybody."""
    at_work = {child: worker for worker in stage.workers for child in children_of(worker)}
    if held is not None:
        child = owner_of_port(held.port, at_work)
        if child is not None:
            return Victim(at_work[child], child, held.job)
    for pid, job in stage.sql(RUNNING, held.job if held else 0):
        if worker := worker_of(pid, stage.workers):
            return Victim(worker, pid, job)
    worker = rng.choice(stage.workers)
    return Victim(worker, next(iter(children_of(worker)), None), None)


Blow = Callable[[Stage, Victim], AbstractContextManager[None]]
"""Strikes on entering; on leaving, what it took away comes back."""


@contextmanager
def kill_child(stage: Stage, victim: Victim) -> Iterator[None]:
    if victim.child is not None:
        send(victim.child, signal.SIGKILL)
    yield


@contextmanager
def kill_worker(stage: Stage, victim: Victim) -> Iterator[None]:
    victim.worker.kill()
    yield
    stage.start_again(victim.worker)


@contextmanager
def stop_machine(stage: Stage, victim: Victim) -> Iterator[None]:
    """Nothing of the worker moves until its job has been given to another; then all of it goes on where it was."""
    members = list(session_members(victim.worker.pid))
    fence = _fence(stage, victim.job)
    for pid in members:
        send(pid, signal.SIGSTOP)
    stage.wait("the worker stands still", lambda: not any(map(moves, members)), STOPPED)
    try:
        yield
        if victim.job is not None:
            stage.wait(f"job {victim.job} has another attempt", lambda: _moved(stage, victim.job, fence), TAKEN_OVER)
    finally:
        for pid in members:
            send(pid, signal.SIGCONT)


@contextmanager
def cut_off(stage: Stage, victim: Victim) -> Iterator[None]:
    """The worker's machine is off the network until its job has been given to another; then it is back."""
    assert isinstance(stage, MachinesStage)
    machine, fence = stage.machine_of(victim.worker), _fence(stage, victim.job)
    machine.plug(into=False)
    try:
        yield
        stage.wait(f"job {victim.job} has another attempt", lambda: _moved(stage, victim.job, fence), TAKEN_OVER)
    finally:
        machine.plug(into=True)


def _fence(stage: Stage, job: int | None) -> int:
    rows = stage.sql("SELECT fence FROM sync_job WHERE id = %s", job)
    return int(rows[0][0]) if rows else 0


def _moved(stage: Stage, job: int | None, fence: int) -> bool:
    """A higher fence, or done: what it was stopped in had been committed."""
    rows = stage.sql("SELECT fence > %s OR state = 'done' FROM sync_job WHERE id = %s", fence, job)
    return bool(rows[0][0])


@contextmanager
def kill_clock(stage: Stage, victim: Victim) -> Iterator[None]:
    """The one that leads."""
    rows = stage.sql("SELECT split_part(holder, ':', 2)::int FROM opsconsole_lease WHERE expires_at > now()")
    leader = next((clock for clock in stage.clocks if rows and clock.pid == rows[0][0]), stage.clocks[0])
    leader.kill()
    yield
    stage.start_again(leader)


@contextmanager
def kill_web(stage: Stage, victim: Victim) -> Iterator[None]:
    stage.web.kill()
    yield
    stage.start_again(stage.web)


@contextmanager
def crash_postgres(stage: Stage, victim: Victim) -> Iterator[None]:
    """SIGQUIT: it ends at once without a checkpoint, and recovers from its log at the next start."""
    stage.postgres.child.send(signal.SIGQUIT)
    stage.wait("PostgreSQL ended", lambda: not stage.postgres.child.alive, STOPPED)
    yield
    stage.postgres.start()


@contextmanager
def cut_source(stage: Stage, victim: Victim) -> Iterator[None]:
    """All connections of the source's reader, again and again while it lasts, and none is let in."""
    with psycopg.connect(stage.addresses.admin_url, autocommit=True) as admin:
        admin.execute("ALTER ROLE source_reader NOLOGIN")
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'source_reader'")
        yield
        admin.execute("ALTER ROLE source_reader LOGIN")


def _index_in(mood: Mood) -> Blow:
    @contextmanager
    def change(stage: Stage, victim: Victim) -> Iterator[None]:
        stage.index_server.mood = mood
        yield
        stage.index_server.mood = Mood.WELL

    return change


@contextmanager
def empty_redis(stage: Stage, victim: Victim) -> Iterator[None]:
    stage.servers.stop_valkey()
    yield
    stage.servers.start_valkey()


@contextmanager
def restart_broker(stage: Stage, victim: Victim) -> Iterator[None]:
    """All of them where there are three."""
    if not stage.class_path:
        stage.servers.stop_broker()
        yield
        stage.servers.start_broker()
        return
    struck = [node.number for node in stage.brokers.nodes if stage.brokers.alive(node.number)]
    for number in struck:
        stage.brokers.kill(number)
    yield
    stage.brokers.revive(*struck)


@contextmanager
def kill_one_of_three(stage: Stage, victim: Victim) -> Iterator[None]:
    """One that leads a partition, so that another has to take over."""
    leader = next((number for number in stage.brokers.leaders(TOPIC, PARTITIONS) if number > 0), 1)
    stage.brokers.kill(leader)
    yield
    stage.brokers.revive(leader)


@contextmanager
def fill_disk(stage: Stage, victim: Victim) -> Iterator[None]:
    fulldisk.set_full(stage.console_url, full=True)
    yield
    fulldisk.set_full(stage.console_url, full=False)


@contextmanager
def deploy(stage: Stage, victim: Victim) -> Iterator[None]:
    """Everything of the console is told to end, and when all of it has, started again. A machine that is gone is not
    reached by this."""
    told = [child for child in stage.console_processes if not is_stopped(child.pid)]
    for child in told:
        child.send(signal.SIGTERM)
    yield
    names = ", ".join(child.command.name for child in told)
    stage.wait(f"all of {names} ended", lambda: not any(child.alive for child in told), STOPPED)
    stage.start_again(*told)
    stage.wait("a worker is there again", lambda: stage.workers_there() > 0, STOPPED)


@contextmanager
def nothing(stage: Stage, victim: Victim) -> Iterator[None]:
    """The message that is too large is in the company from the start."""
    yield


BLOWS: Mapping[Fault, Blow] = {
    Fault.CHILD_KILLED: kill_child,
    Fault.WORKER_KILLED: kill_worker,
    Fault.MACHINE_GONE: stop_machine,
    Fault.CUT_OFF: cut_off,
    Fault.CLOCK_KILLED: kill_clock,
    Fault.WEB_KILLED: kill_web,
    Fault.POSTGRES_RESTARTED: crash_postgres,
    Fault.SOURCE_CUT: cut_source,
    Fault.INDEX_FAILING: _index_in(Mood.FAILING),
    Fault.INDEX_AWAY: _index_in(Mood.AWAY),
    Fault.REDIS_EMPTIED: empty_redis,
    Fault.BROKER_RESTARTED: restart_broker,
    Fault.BROKER_OF_THREE_KILLED: kill_one_of_three,
    Fault.MESSAGE_TOO_LARGE: nothing,
    Fault.DISK_FULL: fill_disk,
    Fault.DEPLOYMENT: deploy,
}

ORDER = tuple(
    sorted(BLOWS, key=lambda fault: (fault is not Fault.MACHINE_GONE, fault is Fault.POSTGRES_RESTARTED, fault.name))
)
"""Of several at once: a stopped machine comes back last; PostgreSQL, which the others ask, goes last and is back first.
"""
