"""Working ahead: a generator runs in a thread of its own, a bounded number of items before whoever takes them."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Generic, Self, TypeVar

IDLE_SECONDS = 0.5

TURN_SECONDS = 0.0005
"""How long a thread that computes may keep one waiting that has its answer from a server. Python's own 5 ms are as long
as the server's work for it, and are waited for several times in each answer."""

T = TypeVar("T")


@contextmanager
def short_turns() -> Iterator[None]:
    """Within, the threads of this process take turns more often."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(TURN_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


class Ahead(Generic[T]):
    """Runs `make(stopped)` in a thread; iterating gives its items, at most `most` of which wait to be taken.

    `make` gets the event that is set when nobody wants more, for waits of its own. What it raises is raised to the
    taker, in place of the next item. `idle` is called every half second in which the next item is not there yet. A
    context manager: at its end the thread is told to stop, and has ended when the end is reached.
    """

    def __init__(
        self,
        make: Callable[[threading.Event], Iterator[T]],
        *,
        most: int,
        name: str,
        idle: Callable[[], None] = lambda: None,
    ) -> None:
        self._make = make
        self._most = most
        self._idle = idle
        self._stopped = threading.Event()
        self._changed = threading.Condition()
        self._items: deque[T] = deque()
        self._ended = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stopped.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join()

    def __iter__(self) -> Iterator[T]:
        while self._wait():
            with self._changed:
                item = self._items.popleft()
                self._changed.notify_all()
            yield item

    def _wait(self) -> bool:
        """Until an item is there; False where none will come any more. Raises what the thread raised."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._ended, IDLE_SECONDS)
                if self._items:
                    return True
                if self._ended:
                    if self._error is not None:
                        raise self._error
                    return False
            self._idle()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001  (raised again in the thread that takes the items)
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _work(self) -> None:
        with closing(self._make(self._stopped)) as items:  # type: ignore[type-var]
            for item in items:
                with self._changed:
                    self._items.append(item)
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: len(self._items) < self._most or self._stopped.is_set())
                if self._stopped.is_set():
                    return
