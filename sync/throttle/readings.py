"""The figures that a throttle goes by: how far the indexing service is behind, and whether the source bears more.

Each is asked by a thread of its own, at most every so often, so that a broker that does not answer cannot keep a job
from hearing that it was cancelled.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from functools import partial
from typing import Generic, TypeVar

from psycopg import sql

from opsconsole.closing import Closing
from opsconsole.errors import ConsoleError, OutsideDataError
from opsconsole.estate import model
from opsconsole.postgres import Database, trusted
from sync.lag import ASK_SECONDS, LagReader
from sync.throttle.decision import Figures, Limits

T = TypeVar("T")

ANSWER_SECONDS = 5.0
"""How long a reading is waited for before it counts as not known. It goes on, and is taken when it comes."""

LISTEN_SECONDS = 0.25
CLOSE_SECONDS = 2.0


class Gauge(Closing, Generic[T]):
    """A figure that `read` gets, read again when it is older than asked for. `discard` closes what `read` opened."""

    def __init__(
        self, read: Callable[[], T], discard: Callable[[], None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._discard = discard
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gauge")
        self._pending: Future[T] | None = None
        self._known: tuple[float, T | None, str] | None = None

    def read(self, every: float, listen: Callable[[], None]) -> tuple[T | None, str]:
        """The figure, at most `every` seconds old, or None and why it is not known. While it is read, `listen` is
        called every quarter of a second; what it raises ends the waiting."""
        now = self._clock()
        if self._known is None or now - self._known[0] >= every:
            self._known = (self._clock(), *self._ask(now + ANSWER_SECONDS, listen))
        return self._known[1:]

    def _ask(self, ends: float, listen: Callable[[], None]) -> tuple[T | None, str]:
        pending = self._pending = self._pending or self._thread.submit(self._read)
        while self._clock() < ends:
            try:
                value = pending.result(timeout=LISTEN_SECONDS)
            except NotYet:
                listen()
            except ConsoleError as error:
                self._pending = None
                return None, str(error)
            else:
                self._pending = None
                return value, ""
        return None, f"no answer within {ANSWER_SECONDS:g} s"

    def close(self) -> None:
        """Lets go in the thread that opened; a reading that hangs is left to its own timeouts."""
        with contextlib.suppress(NotYet):
            self._thread.submit(self._discard).result(timeout=CLOSE_SECONDS)
        self._thread.shutdown(wait=False)


class ConditionReader:
    """Whether the estate's condition on the source is true now, on a connection of its own. One thread uses it."""

    def __init__(self, source: model.Source) -> None:
        self._database = Database(
            source.url,
            "the source",
            statement_timeout=min(ASK_SECONDS, source.statement_timeout),
            connect_timeout=min(ASK_SECONDS, source.connect_timeout),
        )

    def read(self, condition: str) -> bool:
        """NULL is not true. Raises UnavailableError, and OutsideDataError where it gives something else."""
        value = self._database.row(sql.SQL("SELECT {}").format(trusted(f"({condition})")))[0]
        if value is not None and not isinstance(value, bool):
            raise OutsideDataError(f"it gives {value!r}; allowed is true or false")
        return bool(value)

    def close(self) -> None:
        self._database.close()


class Readings(Closing):
    """The figures of one worker's process, shared by the jobs it runs. Nothing is asked that is not limited."""

    def __init__(self, estate: model.Estate) -> None:
        self._estate = estate
        self._lag: Gauge[int] | None = None
        self._source: Gauge[bool] | None = None
        self._condition = ""

    def figures(self, limits: Limits, every: float, listen: Callable[[], None]) -> Figures:
        """What the limits need, none of it older than `every` seconds. `listen` as in Gauge.read."""
        lag = self._lag_gauge().read(every, listen) if limits.lag is not None else (None, "")
        condition = limits.source_condition
        source = self._source_gauge(condition).read(every, listen) if condition else (None, "")
        return Figures(*lag, *source)

    def _lag_gauge(self) -> Gauge[int]:
        if self._lag is None:
            reader = LagReader(self._estate.kafka)
            self._lag = Gauge(reader.read, reader.close)
        return self._lag

    def _source_gauge(self, condition: str) -> Gauge[bool]:
        if self._source is None or self._condition != condition:
            if self._source is not None:
                self._source.close()
            reader = ConditionReader(self._estate.source)
            self._source, self._condition = Gauge(partial(reader.read, condition), reader.close), condition
        return self._source

    def close(self) -> None:
        for gauge in (self._lag, self._source):
            if gauge is not None:
                gauge.close()
        self._lag = self._source = None
