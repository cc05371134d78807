"""The clock's loop: hold the lease, run what is due, wait."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError, close_old_connections, connection

from opsconsole.clock.duties import Duty
from opsconsole.clock.lease import LEASE_SECONDS, RENEW_SECONDS, LeaseKeeper

logger = logging.getLogger(__name__)

LONGEST_WAIT = 1.0
SHORTEST_WAIT = 0.05
SLOW_AT_ONCE = 2
"""Slow duties that may be under way at the same time. The others are never kept waiting by them."""

# The console's database is away. Any other error of it in a duty (a constraint, a missing column) is the duty's own.
AWAY = (OperationalError, InterfaceError)


class ClockLoop:
    """Runs `duties` as long as it holds the lease. `clock` gives monotonic seconds."""

    def __init__(
        self,
        keeper: LeaseKeeper,
        duties: Sequence[Duty],
        stop: threading.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keeper = keeper
        self._duties = duties
        self._stop = stop
        self._clock = clock
        self._due = {duty.name: float("-inf") for duty in duties}
        self._renew_at = float("-inf")
        self._held_until = float("-inf")
        self._leading: bool | None = None  # None: not known yet, or not any more
        self._aside = ThreadPoolExecutor(SLOW_AT_ONCE, thread_name_prefix="slow-duty")
        self._under_way: dict[str, Future[None]] = {}

    def run(self) -> None:
        """Go on until `stop` is set; then finish the duties under way and give the lease back."""
        while not self._stop.is_set():
            self.step()
            self._stop.wait(self.until_next())
        self._aside.shutdown(cancel_futures=True)
        if self._leading:
            self._keeper.give_back()

    def until_next(self) -> float:
        """Seconds to wait: until something is due, a second at most."""
        if not self._leading:
            return LONGEST_WAIT
        due = min(self._due.values(), default=float("inf")) - self._clock()
        return min(max(due, SHORTEST_WAIT), LONGEST_WAIT)

    def step(self) -> int:
        """One round. Returns how many duties were run; 0 where another clock leads."""
        try:
            if not self._lead():
                return 0
            due = [duty for duty in self._duties if self._due[duty.name] <= self._clock()]
            return sum(self._perform(duty) for duty in due)
        except DatabaseError as error:
            logger.warning("the console's database is away: %s", str(error).strip())
            self._leading = None
            self._renew_at = float("-inf")
            connection.close()
            return 0

    def _lead(self) -> bool:
        """Hold the lease, renewing it in good time. A pause longer than the lease (SIGSTOP) is noticed here."""
        asked_at = self._clock()
        if asked_at >= self._renew_at or asked_at >= self._held_until:
            close_old_connections()  # each time it costs the next statement a question whether the server is there
            held = self._keeper.hold()
            if held != self._leading:
                logger.info("%s %s", self._keeper.holder, "leads" if held else "stands by")
            self._leading = held
            self._renew_at = asked_at + (RENEW_SECONDS if held else LONGEST_WAIT)
            self._held_until = asked_at + LEASE_SECONDS if held else float("-inf")
        return bool(self._leading)

    def _perform(self, duty: Duty) -> bool:
        """Run one duty. Its own failure is logged and does not keep the others from running."""
        if not self._lead():
            return False
        self._due[duty.name] = self._clock() + duty.every
        if not _is_wanted(duty):
            return False
        if duty.slow:
            return self._perform_aside(duty)
        _act(duty)
        return True

    def _perform_aside(self, duty: Duty) -> bool:
        """Start a slow duty, unless it is still at it since the last time."""
        before = self._under_way.get(duty.name)
        if before is not None and not before.done():
            return False
        self._under_way[duty.name] = self._aside.submit(_act_aside, duty)
        return True


def _is_wanted(duty: Duty) -> bool:
    """Raises what says that the console's database is away. One that cannot say is wanted: then it tells what is
    wrong."""
    try:
        return duty.wanted is None or duty.wanted()
    except AWAY:
        raise
    except Exception:  # as in _act
        logger.exception("whether duty %s is wanted cannot be told", duty.name)
        return True


def _act(duty: Duty) -> None:
    """Raises what says that the console's database is away, and logs any other failure."""
    try:
        duty.act()
    except AWAY:
        raise
    except Exception:  # the outermost loop of this process: one broken duty must not stop the clock
        logger.exception("duty %s failed", duty.name)


def _act_aside(duty: Duty) -> None:
    try:
        _act(duty)
    except AWAY as error:
        logger.warning("duty %s: the console's database is away: %s", duty.name, str(error).strip())
    finally:
        connection.close()
