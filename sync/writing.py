"""Writing down beside the work: a chunk goes into the console's database while the next one's messages are sent."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Self

from django.db import DEFAULT_DB_ALIAS, connection, connections

from sync.ledger import ChunkResult, Ledger
from sync.models import JobState

CANCEL_SECONDS = 5.0


class Writer:
    """Writes chunks in the order in which they are given, one at a time, and none after one that failed.

    `beside`: in a thread of its own, which has a connection of its own. A context manager: at its end what is being
    written is written; where it ends by an interruption, that is cancelled.
    """

    def __init__(self, *, beside: bool) -> None:
        self._thread = ThreadPoolExecutor(1, "writing") if beside else None
        self._connection = self._thread.submit(connections.__getitem__, DEFAULT_DB_ALIAS) if self._thread else None
        self._writing: Future[JobState] | None = None
        self.findings = 0
        """Those of the chunk that is being written."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if self._thread is not None:
            if kind is not None and not issubclass(kind, Exception):
                self._cancel()
            self._thread.submit(lambda: connection.close())  # noqa: PLW0108  (this thread's is another one)
            self._thread.shutdown()

    def _cancel(self) -> None:
        opened = self._connection.result().connection if self._connection else None
        if opened is not None:
            opened.cancel_safe(timeout=CANCEL_SECONDS)

    @property
    def is_idle(self) -> bool:
        """Whether `settle` and `write` need not wait."""
        return self._writing is None or self._writing.done()

    def write(self, ledger: Ledger, chunk: ChunkResult) -> JobState | None:
        """Begin to write; what was written before is settled first. The job's state that came back, where one did."""
        before = self.settle()
        if self._thread is None:
            return ledger.commit_chunk(chunk)
        self._writing = self._thread.submit(copy_context().run, ledger.commit_chunk, chunk)
        self.findings = len(chunk.findings)
        return before

    def settle(self) -> JobState | None:
        """Wait for what is being written, and give the job's state that came back. Raises what went wrong."""
        writing, self._writing, self.findings = self._writing, None, 0
        return None if writing is None else writing.result()
