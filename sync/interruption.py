"""Interrupting a running job from outside: what the process that runs it does when it is told to stop, or to die.

A signal makes the main thread leave whatever it waits for. The wish itself is a row, so it also arrives where no signal
can be sent from: the thread of the heartbeat reads it.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from opsconsole.worker import INTERRUPT, request_stop
from sync.models import Step, StopStep
from sync.operations.workers import WorkerIdentity


class Interrupted(KeyboardInterrupt):
    """The job was stopped in the middle of what it did.

    A KeyboardInterrupt, since psycopg then cancels its statement at the server before it goes on, and since no library
    takes one for a failure of its own.
    """


class _Guard:
    """Whether a job runs in the main thread that may be interrupted. Raised once: what follows must not be torn."""

    armed = False


def _interrupt(signum: int, frame: FrameType | None) -> None:
    request_stop()  # the process ends, too: whatever waits behind the job goes to a fresh one
    if _Guard.armed:
        _Guard.armed = False
        raise Interrupted


@contextmanager
def interruptible() -> Iterator[None]:
    """Within, a signal raises Interrupted in the main thread. In another thread nothing can: there, nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(INTERRUPT, _interrupt)
    _Guard.armed = True
    try:
        yield
    finally:
        _Guard.armed = False
        signal.signal(INTERRUPT, before)


def listener(job_id: int, worker: WorkerIdentity) -> Callable[[], None]:
    """What the thread of the heartbeat does beside beating: hear what was asked of `job_id`, and do it, each step once.
    Several processes may walk one job, so it is not enough that one of them has acknowledged. One query, and a write
    where something new was asked."""
    heard: set[Step] = set()

    def listen() -> None:
        steps = StopStep.objects.open().filter(job_id=job_id)
        asked = {step.status for step in steps} - heard
        if not asked:
            return
        heard.update(asked)
        steps.acknowledge(f"Heard by process {worker.pid} of worker {worker.name} on {worker.host}.")
        if Step.KILL in asked:
            os.kill(worker.pid, signal.SIGKILL)
        elif Step.STOP in asked and _Guard.armed:
            os.kill(worker.pid, INTERRUPT)

    return listen
