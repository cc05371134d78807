"""Between chunks: should this attempt go on? Cancel, deployment, memory, a fence that is gone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from django.db import close_old_connections, connection
from django.db.models.functions import Now
from django.db.utils import Error as DatabaseError

from opsconsole.worker import stop_requested
from sync.ledger import Ledger
from sync.models import AttemptOutcome, JobState
from sync.models.states import HELD_STATES
from sync.operations.workers import memory_now

HEARTBEAT_SECONDS = 3.0
WAIT_SLICE_SECONDS = 0.5
STATE_CHECK_SECONDS = 1.0
MEMORY_CHECK_SECONDS = 0.1
MEMORY_SHARE = 0.9
"""Of the memory limit, where an attempt ends at its checkpoint: before the next chunk could go over it."""


class AttemptStopped(Exception):  # noqa: N818  (no error: the attempt was asked to end, and the checkpoint stands)
    """The attempt ends before the job is done; `outcome` says how, `reason` in words."""

    def __init__(self, outcome: AttemptOutcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome
        self.reason = reason


class Control:
    """What the running attempt asks between chunks. `memory_limit` in bytes; 0 for none."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        memory_limit: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ledger = ledger
        self._memory_limit = memory_limit
        self._clock = clock
        self._sleep = sleep
        self._asked_at = clock()
        self._memory_due = clock()

    def check(self) -> None:
        """Raise AttemptStopped or FenceLostError where this attempt should end. Asks the database once a second."""
        self._check_memory()
        self.listen()

    def listen(self) -> None:
        """As `check`, but for the memory: within a chunk a stop for it would come again at the same place for ever."""
        if stop_requested():
            raise AttemptStopped(AttemptOutcome.HIBERNATED, "The worker is shutting down; going on elsewhere.")
        if self._clock() - self._asked_at >= STATE_CHECK_SECONDS:
            self.obey(self._ledger.state())

    def obey(self, state: JobState) -> None:
        """Act on a state that a write just returned."""
        self._asked_at = self._clock()
        if state is JobState.CANCELLING:
            raise AttemptStopped(AttemptOutcome.CANCELLED, "Cancelled at a checkpoint.")
        if state is JobState.PAUSING:
            raise AttemptStopped(AttemptOutcome.HIBERNATED, "Paused at a checkpoint.")
        if state not in HELD_STATES:
            raise AttemptStopped(AttemptOutcome.HIBERNATED, "No worker leads the job any more: let go at a checkpoint.")

    def wait_until(self, moment: float) -> None:
        """Wait until the clock shows `moment`, still listening for a stop."""
        while (left := moment - self._clock()) > 0:
            self._sleep(min(left, WAIT_SLICE_SECONDS))
            self.check()

    def wait(self, seconds: float) -> None:
        self.wait_until(self._clock() + seconds)

    def linger(self, seconds: float) -> None:
        """Wait within a chunk, listening for a stop."""
        self._sleep(min(seconds, WAIT_SLICE_SECONDS))
        self.listen()

    def _check_memory(self) -> None:
        """Now and then: to read it is to let another thread go first."""
        if self._clock() < self._memory_due:
            return
        self._memory_due = self._clock() + MEMORY_CHECK_SECONDS
        used = memory_now()
        if self._memory_limit and used is not None and used > self._memory_limit * MEMORY_SHARE:
            raise AttemptStopped(
                AttemptOutcome.HIBERNATED,
                f"The process uses {used >> 20} MiB of the {self._memory_limit >> 20} MiB a job may use; "
                "going on in a fresh one.",
            )


class Held(Protocol):
    """A queryset, or what has this of one."""

    def update(self, *, heartbeat_at: Now) -> object: ...


class Heartbeat(threading.Thread):
    """Says every few seconds that the attempts on `held` live, also while a long statement keeps them waiting.

    `held` must find only jobs, or ranges of one, that this process still holds. `listen` is called after each beat.
    """

    def __init__(self, held: Held, listen: Callable[[], None] | None = None) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self._held = held
        self._listen = listen
        self._done = threading.Event()

    def run(self) -> None:
        # Most jobs end before the first beat: no connection is opened for them.
        while not self._done.wait(HEARTBEAT_SECONDS):
            try:
                self._held.update(heartbeat_at=Now())
                if self._listen is not None:
                    self._listen()
            except DatabaseError:
                close_old_connections()  # the console's database is away; the next beat connects anew
        connection.close()

    def __enter__(self) -> Heartbeat:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._done.set()
        self.join()
