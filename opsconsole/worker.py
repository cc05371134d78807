"""The RQ worker of the console: JSON only, quick to notice death, and polite when asked to stop.

RQ only carries messages here. What a dead process leaves behind is settled by the durable job's heartbeat and fence;
this class makes the news arrive sooner.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import secrets
import signal
import socket
import threading
import time
from contextlib import suppress
from importlib import import_module
from types import FrameType
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connections
from django.dispatch import Signal
from redis.backoff import AbstractBackoff
from redis.client import Pipeline
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Worker
from rq.command import parse_payload
from rq.job import Job
from rq.queue import Queue
from rq.serializers import JSONSerializer

from opsconsole import spans
from opsconsole.pauses import paused_queues
from opsconsole.processes import mark_as_child_of
from opsconsole.takes import count_taken

logger = logging.getLogger(__name__)

WORKER_TTL = 20
MONITORING_INTERVAL = 5
MAINTENANCE_INTERVAL = 5
HEARTBEAT_TTL = 30
BEAT_SECONDS = 5.0
NOTHING_COMES = "opsconsole-paused"
"""A queue that nobody pushes to, for a worker whose queues are all paused: RQ has to listen to something."""
PR_SET_PDEATHSIG = 1
YOUNG_OBJECTS = 20_000

work_horse_killed = Signal()
"""Sent in the worker's parent process when its child died of a signal or without a word.

Arguments: `worker` (its name), `function` (dotted name of the RQ job's function), `args` (its arguments),
`wait_status` (as `os.waitpid` gives it), `peak_memory` (bytes).
"""

worker_beat = Signal()
"""Sent in the worker's parent process every five seconds or so, while it waits and while it works.

Arguments: `worker` (its name), `queues` (their names), `child` (process id of its child, 0 where it has none).
"""

worker_ended = Signal()
"""Sent when a worker ends by itself. Argument: `worker` (its name)."""

work_horse_signalled = Signal()
"""Sent in the worker's parent process when somebody asked it to signal its child. Not sent where the child is another.

Arguments: `worker` (its name), `pid` (the child's), `number` (the signal's).
"""

work_horse_ended = Signal()
"""Sent in the worker's parent process when a child that was signalled so has ended by itself, with an exit status.

Arguments: `worker` (its name), `pid` (the child's), `exit_status`.
"""

SIGNAL_CHILD = "opsconsole-signal-child"
"""A command of ours on RQ's channel of a worker, with `pid` and `number`. RQ's own would take whatever child there is
by then, and say nothing of how it ended."""

INTERRUPT = signal.SIGUSR1
"""What interrupts a child's job, in whatever it waits for. Between jobs it only asks for no further one."""

_stop_at_checkpoint = threading.Event()


def calm_garbage_collector() -> None:
    """For a process whose children make rows by the hundred thousand: what is imported by now is not looked through
    again, nor copied by the children for it, and new objects are looked through in larger heaps."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 10, 10)


def stop_requested() -> bool:
    """Whether this process was asked to end its work at the next checkpoint (a deployment, a scale-down)."""
    return _stop_at_checkpoint.is_set()


def request_stop(signum: int = 0, frame: FrameType | None = None) -> None:
    """Signal handler: ask the running job to end at its next checkpoint."""
    _stop_at_checkpoint.set()


class UntilStopped(AbstractBackoff):
    """A second between two tries, for as long as it takes; none any more once the worker, or its child, is to stop."""

    def compute(self, failures: int) -> float:
        if stop_requested():
            raise RedisAwayError("Redis is away, and the worker is to stop.")
        if failures == 1:
            logger.warning("Redis is away; the worker goes on waiting for it")
        return 1.0


class RedisAwayError(RedisError):
    """Redis cannot be reached by a worker that does not wait for it."""


class ConsoleWorker(Worker):
    """Differences to RQ's own: JSON whatever the command line says, short time limits, SIGTERM reaches the child."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # django-rq's command always passes a serializer and a TTL of its own; both would be wrong here.
        # A name says where to look. It is never used twice: RQ refuses a name whose last owner was killed for a while.
        kwargs["name"] = kwargs.get("name") or f"{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(2)}"
        kwargs |= {
            "serializer": JSONSerializer,
            "worker_ttl": WORKER_TTL,
            "job_monitoring_interval": MONITORING_INTERVAL,
            "maintenance_interval": MAINTENANCE_INTERVAL,
        }
        if kwargs.get("prepare_for_work", True):
            # RQ waits for Redis where it waits for messages, and nowhere else: a worker at work would end, and its
            # child with it, for a restart of Redis; and one that starts meanwhile, as after a deployment, would not.
            kwargs["connection"].set_retry(Retry(UntilStopped(), retries=-1))
        super().__init__(*args, **kwargs)
        self._beat_after = float("-inf")
        self._paused: frozenset[str] = frozenset()
        self._signalled = 0

    def work(self, *args: Any, **kwargs: Any) -> bool:
        # Imported once here rather than once in every child.
        for module in settings.WORKER_PRELOAD:
            import_module(module)
        calm_garbage_collector()
        return bool(super().work(*args, **kwargs))

    def get_heartbeat_ttl(self, job: Job) -> int:
        return HEARTBEAT_TTL

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """RQ calls this before it waits for a message, every five seconds while it waits or works, and in between."""
        super().heartbeat(timeout, pipeline)
        if self.is_horse:
            return
        self._listen_to_what_is_not_paused()
        if time.monotonic() >= self._beat_after:
            self._beat_after = time.monotonic() + BEAT_SECONDS * 0.8
            self._tell(worker_beat, queues=self.queue_names(), child=self.horse_pid)

    def maintain_heartbeats(self, job: Job) -> None:
        with suppress(RedisAwayError):
            super().maintain_heartbeats(job)

    def register_death(self) -> None:
        with suppress(RedisAwayError):
            super().register_death()  # type: ignore[no-untyped-call]
        self._tell(worker_ended)

    def _tell(self, what: Signal, **values: Any) -> None:
        """A worker that cannot say how it is goes on working."""
        try:
            what.send(sender=type(self), worker=self.name, **values)
        except DatabaseError as error:
            self.log.warning("could not leave a sign of life: %s", error)
        finally:
            connections.close_all()  # the next child must not inherit this process's connection

    def _listen_to_what_is_not_paused(self) -> None:
        self._paused = paused_queues(self.connection)
        nothing = Queue(NOTHING_COMES, connection=self.connection, serializer=self.serializer)
        self._ordered_queues = [queue for queue in self.queues if queue.name not in self._paused] or [nothing]

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        while True:
            taken: tuple[Job, Queue] | None = super().dequeue_job_and_maintain_ttl(timeout, max_idle_time)
            if taken is None or taken[1].name not in self._paused:
                return taken
            # Paused while this worker was waiting for a message. Killed here, the message is lost, and the job pushed
            # again by the clock like any other whose message was.
            job, queue = taken
            queue.push_job_id(job.id, at_front=True)
            queue.intermediate_queue.remove(job.id)

    def execute_job(self, job: Job, queue: Queue) -> None:
        count_taken(self.connection, queue.name, 1)
        super().execute_job(job, queue)

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        # A child that outlives its parent would be run a second time elsewhere; die with the parent instead.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        super().main_work_horse(job, queue)

    def perform_job(self, job: Job, queue: Queue) -> bool:
        try:
            return bool(super().perform_job(job, queue))
        finally:
            spans.flush()  # the child ends without a word to anybody

    def setup_work_horse_signals(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, request_stop)
        signal.signal(INTERRUPT, request_stop)
        mark_as_child_of(self.name)  # from here on it can be signalled from outside

    def handle_payload(self, message: Any) -> None:
        payload = parse_payload(message)
        if payload.get("command") == SIGNAL_CHILD:
            self._signal_child(int(payload["pid"]), int(payload["number"]))
        else:
            super().handle_payload(message)  # type: ignore[no-untyped-call]

    def _signal_child(self, pid: int, number: int) -> None:
        """In the thread that listens to Redis. The child that was meant may have ended, and be followed by another."""
        if self.horse_pid != pid:
            return
        self._signalled = pid
        try:
            os.kill(pid, number)
            work_horse_signalled.send(sender=type(self), worker=self.name, pid=pid, number=number)
        except ProcessLookupError:
            return
        except DatabaseError as error:
            self.log.warning("could not record that process %s was signalled: %s", pid, error)
        finally:
            connections.close_all()

    def wait_for_horse(self) -> tuple[int | None, int | None, Any]:
        pid, status, usage = super().wait_for_horse()
        if pid and status is not None and pid == self._signalled and os.WIFEXITED(status):
            self._tell_end(pid, os.WEXITSTATUS(status))
        return pid, status, usage

    def _tell_end(self, pid: int, exit_status: int) -> None:
        try:
            work_horse_ended.send(sender=type(self), worker=self.name, pid=pid, exit_status=exit_status)
        except DatabaseError as error:
            self.log.warning("could not record that process %s ended: %s", pid, error)
        finally:
            connections.close_all()

    def set_shutdown_requested_date(self) -> None:
        with suppress(RedisAwayError):
            super().set_shutdown_requested_date()  # type: ignore[no-untyped-call]

    def handle_warm_shutdown_request(self) -> None:
        request_stop()
        if self.horse_pid:
            os.kill(self.horse_pid, signal.SIGTERM)

    def handle_work_horse_killed(self, job: Job, retpid: Any, ret_val: Any, rusage: Any) -> None:
        try:
            work_horse_killed.send(
                sender=type(self),
                worker=self.name,
                function=job.func_name,
                args=job.args,
                wait_status=ret_val,
                peak_memory=rusage.ru_maxrss * 1024 if rusage else None,
            )
        except DatabaseError as error:
            self.log.warning("could not record the end of %s, the clock will: %s", job.id, error)
        finally:
            connections.close_all()  # the next child must not inherit this process's connection
