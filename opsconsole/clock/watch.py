"""Who watches the clock: every web process and every worker looks at its beat, and says by itself that it is silent.

The clock finds what is wrong with everything else, so its own silence must not need it. Each process that hears none
logs an error; who listens to the signals here tells the operators.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import DatabaseError, close_old_connections, connection
from django.dispatch import Signal, receiver
from django.utils import timezone

from opsconsole.clock.beat import last_beat
from opsconsole.health import CLOCK_SILENT_AFTER
from opsconsole.worker import worker_beat

logger = logging.getLogger(__name__)

LOOK_SECONDS = 10.0

clock_silent = Signal()
"""Sent at every look at a clock that is silent. Arguments: `since` (datetime), `now`."""


class Watch:
    """One process's eye on the clock. `begun` is when it began to look: a clock that never ran is silent since then.

    `aside`: who listens is told from another thread, for a process that must not wait until a message is sent.
    """

    def __init__(self, begun: datetime, *, aside: bool = False) -> None:
        self._begun = begun
        self._silent = False
        self._aside = aside
        self._telling: threading.Thread | None = None

    def look(self, now: datetime) -> bool:
        """Whether the clock is silent. One query; the first look at a silence, and the one after it, are logged."""
        since = last_beat() or self._begun
        silent = now - since > CLOCK_SILENT_AFTER
        if silent and not self._silent:
            logger.error("the clock is silent since %s UTC: start one, nothing happens by itself", f"{since:%F %T}")
        elif self._silent and not silent:
            logger.warning("the clock is back")
        self._silent = silent
        if silent:
            self._tell(since, now)
        return silent

    def _tell(self, since: datetime, now: datetime) -> None:
        if not self._aside:
            clock_silent.send_robust(sender=Watch, since=since, now=now)
        elif self._telling is None or not self._telling.is_alive():
            self._telling = threading.Thread(target=_tell_aside, args=(since, now), name="clock-silent", daemon=True)
            self._telling.start()


def _tell_aside(since: datetime, now: datetime) -> None:
    try:
        clock_silent.send_robust(sender=Watch, since=since, now=now)
    finally:
        connection.close()


class WatchThread(threading.Thread):
    """Looks every ten seconds for as long as the process lives, on a database connection of its own."""

    def __init__(self, watch: Watch, wait: Callable[[float], object]) -> None:
        super().__init__(name="clock-watch", daemon=True)
        self._watch = watch
        self._wait = wait

    def run(self) -> None:
        while True:
            self._wait(LOOK_SECONDS)
            look_once(self._watch)


def look_once(watch: Watch) -> None:
    """A database that is away is no news of the clock, and another's to tell."""
    try:
        close_old_connections()
        watch.look(timezone.now())
    except DatabaseError as error:
        logger.warning("the clock cannot be looked at: %s", str(error).strip())
    finally:
        connection.close()


def watch_in_background() -> None:
    """In this process and in whatever it forks: a server may load the console before it forks its workers."""

    def begin() -> None:
        WatchThread(Watch(timezone.now()), threading.Event().wait).start()

    begin()
    os.register_at_fork(after_in_child=begin)


_of_worker: list[Watch] = []


@receiver(worker_beat, dispatch_uid="clock.watch")
def look_from_worker(**_: Any) -> None:
    """A worker looks with each sign of its own, every five seconds, from the parent process: also while it works."""
    if not _of_worker:
        _of_worker.append(Watch(timezone.now(), aside=True))
    _of_worker[0].look(timezone.now())
