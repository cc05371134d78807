"""The RQ worker of the console: JSON only, quick to notice death, and polite when asked to stop.

RQ only carries messages here. What a dead process leaves behind is settled by the durable job's heartbeat and fence;
this class makes the news arrive sooner.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import signal
import socket
import threading
from importlib import import_module
from types import FrameType
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connections
from django.dispatch import Signal
from rq import Worker
from rq.job import Job
from rq.queue import Queue
from rq.serializers import JSONSerializer

WORKER_TTL = 20
MONITORING_INTERVAL = 5
MAINTENANCE_INTERVAL = 5
HEARTBEAT_TTL = 30
PR_SET_PDEATHSIG = 1

work_horse_killed = Signal()
"""Sent in the worker's parent process when its child died of a signal or without a word.

Arguments: `worker` (its name), `function` (dotted name of the RQ job's function), `args` (its arguments),
`wait_status` (as `os.waitpid` gives it), `peak_memory` (bytes).
"""

_stop_at_checkpoint = threading.Event()


def stop_requested() -> bool:
    """Whether this process was asked to end its work at the next checkpoint (a deployment, a scale-down)."""
    return _stop_at_checkpoint.is_set()


def request_stop(signum: int = 0, frame: FrameType | None = None) -> None:
    """Signal handler: ask the running job to end at its next checkpoint."""
    _stop_at_checkpoint.set()


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
        super().__init__(*args, **kwargs)

    def work(self, *args: Any, **kwargs: Any) -> bool:
        # Imported once here rather than once in every child.
        for module in settings.WORKER_PRELOAD:
            import_module(module)
        return bool(super().work(*args, **kwargs))

    def get_heartbeat_ttl(self, job: Job) -> int:
        return HEARTBEAT_TTL

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        # A child that outlives its parent would be run a second time elsewhere; die with the parent instead.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        super().main_work_horse(job, queue)

    def setup_work_horse_signals(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, request_stop)

    def handle_warm_shutdown_request(self) -> None:
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
