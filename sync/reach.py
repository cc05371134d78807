"""Reaching the processes that work on a job, wherever they run: signals, and their statements at source and index.

A signal goes by the worker that owns the process, which listens to Redis on whatever machine it is, and directly where
the process runs on this one. Either may be gone. So nothing here decides how a job ends; it says what was reached.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from redis.exceptions import RedisError

from opsconsole import estate
from opsconsole.errors import ConsoleError
from opsconsole.estate.model import IndexAdapter
from opsconsole.postgres import Database
from opsconsole.processes import own_name_of, signal_marked
from opsconsole.words import counted
from opsconsole.worker import INTERRUPT
from sync import queueing
from sync.index.postgres import PostgresIndex
from sync.models import Attempt, AttemptOutcome, Job, Step
from sync.operations.workers import WorkerIdentity
from sync.source import Source

SIGNALS = {Step.STOP: INTERRUPT, Step.KILL: signal.SIGKILL}


@dataclass(frozen=True, slots=True)
class Process:
    """A process that has an attempt under way."""

    worker: str
    host: str
    pid: int

    def __str__(self) -> str:
        return f"process {self.pid} of worker {self.worker} on {self.host}"

    @property
    def here(self) -> bool:
        return self.host == socket.gethostname()


def processes_of(job: Job) -> list[Process]:
    """Every process that has an attempt of the job under way, as far as the rows say. One query."""
    running = Attempt.objects.filter(job_id=job.pk, outcome=AttemptOutcome.RUNNING).order_by("pk")
    return [Process(*values) for values in running.values_list("worker", "host", "pid")]


@dataclass(frozen=True, slots=True)
class Reached:
    """`sentence` says what was done about a process; `somebody` whether anything that could end it has heard."""

    somebody: bool
    sentence: str


def send(process: Process, step: Step) -> Reached:
    """Signal a process for `step`, by Redis and, on this machine, directly."""
    number = SIGNALS[step]
    direct = process.here and signal_marked(process.worker, process.pid, number)
    try:
        listeners = queueing.tell_worker(process.worker, process.pid, number)
    except RedisError:
        listeners, by_redis = 0, "Redis cannot be reached"
    else:
        by_redis = "its worker was told by Redis" if listeners else "nobody listens in Redis for its worker"
    directly = f"; {number.name} was sent to it on this machine" if direct else ""
    return Reached(direct or listeners > 0, f"To {process}: {by_redis}{directly}.")


def certainly_gone(process: Process) -> bool:
    """Whether this machine is the one it ran on, and has no process of its number any more."""
    return process.here and own_name_of(process.pid) is None


def cancel_statements(processes: Sequence[Process]) -> list[str]:
    """End what the processes have under way at the source's and the index's servers. A sentence for each server."""
    settings = estate.current()
    names = [(process.worker, process.pid) for process in processes]
    with ExitStack() as stack:
        databases = [stack.enter_context(Source(settings.source)).database]
        if settings.index.adapter == IndexAdapter.POSTGRES:
            databases.append(stack.enter_context(PostgresIndex(settings)).database)
        return [_cancelled(database, names) for database in databases] if names else []


def cancel_own_statements(worker: WorkerIdentity) -> None:
    """End what other threads of this process have under way, before it ends: a server goes on with a statement whose
    client is gone. Quiet where a server is away."""
    with suppress(ConsoleError):
        cancel_statements([Process(worker.name, worker.host, worker.pid)])


def _cancelled(database: Database, names: Sequence[tuple[str, int]]) -> str:
    try:
        count = database.cancel_statements(names)
    except ConsoleError as error:
        return f"Its statements could not be cancelled: {error}"
    return f"At {database.what}, {counted(count, 'running statement')} cancelled."
