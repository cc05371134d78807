"""Seeing that the index really caught up with what was published."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from opsconsole.words import counted
from sync.control import Control
from sync.engine.compare import Published
from sync.ledger import Ledger
from sync.models import Drift, EventLevel, Verification
from sync.secondlook import SecondLook

PAGE = 2_000
PAGES_AHEAD = 2
"""One is read from the index while the other one is read from the source."""

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0


class Verifier:
    """Reads published tasks again from both sides until they agree or the time is over."""

    def __init__(self, ledger: Ledger, look: SecondLook, control: Control, clock: Callable[[], float]) -> None:
        self._ledger = ledger
        self._look = look
        self._control = control
        self._clock = clock

    def run(self, *, deadline: float) -> None:
        """Mark every published drift row of the job verified or, after `deadline` on the clock, give up the rest."""
        pause = FIRST_PAUSE
        while True:
            last = self._clock() >= deadline
            left = self._round(whole=last)
            if left and last:
                self._give_up(left)
            if not left or last:
                return
            self._control.wait(min(pause, max(0.0, deadline - self._clock())))
            pause = min(pause * 2, LONGEST_PAUSE)

    def _round(self, *, whole: bool) -> int:
        """One look at what is pending. Returns how many rows are still not as published, of those looked at.

        Unless the `whole` is wanted, it ends with a full page of which nothing has arrived: the index is behind.
        """
        left = 0
        with ThreadPoolExecutor(PAGES_AHEAD, thread_name_prefix="verification") as beside:
            for page, caught_up in self._looked_at(beside):
                arrived = caught_up.result()
                left += len(page) - len(arrived)
                if arrived:
                    self._control.obey(self._ledger.mark_verified(arrived))
                else:
                    self._control.check()
                if not (arrived or whole) and len(page) == PAGE:
                    break
        return left

    def _looked_at(self, beside: ThreadPoolExecutor) -> Iterator[tuple[Sequence[Published], Future[list[int]]]]:
        """The pages of pending rows, each while the next ones are looked at in other threads."""
        coming: deque[tuple[Sequence[Published], Future[list[int]]]] = deque()
        for page in self._pending_pages():
            coming.append((page, beside.submit(self._look.caught_up, page)))
            if len(coming) > PAGES_AHEAD:
                yield coming.popleft()
        yield from coming

    def _give_up(self, left: int) -> None:
        self._ledger.give_up(left)
        self._ledger.note(
            f"{counted(left, 'task')} published, but the index still differs: is the indexer running?",
            EventLevel.WARNING,
        )

    def _pending_pages(self) -> Iterator[Sequence[Published]]:
        behind = 0
        while True:
            pending = Drift.objects.filter(job_id=self._ledger.job_id, verification=Verification.PENDING)
            rows = pending.filter(pk__gt=behind).order_by("pk").values_list("pk", "task_id", "source_version")[:PAGE]
            page = [Published(*row) for row in rows]
            if not page:
                return
            behind = page[-1].drift_id
            yield page
