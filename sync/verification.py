"""Seeing that the index really caught up with what was published."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from opsconsole.keys import Key, KeyKind, restore_key
from sync.control import Control
from sync.engine.compare import drift_kind
from sync.engine.rows import Row, Side
from sync.ledger import Ledger
from sync.models import Drift, EventLevel, Verification

PAGE = 1_000
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0


class Verifier:
    """Reads published tasks again from both sides until they agree or the time is over."""

    def __init__(
        self,
        ledger: Ledger,
        source: Side,
        index: Side,
        control: Control,
        task_key: KeyKind,
        clock: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._source = source
        self._index = index
        self._control = control
        self._task_key = task_key
        self._clock = clock

    def run(self, *, deadline: float) -> None:
        """Mark every published drift row of the job verified or, after `deadline` on the clock, unresolved."""
        pause = FIRST_PAUSE
        while left := self._round():
            if self._clock() >= deadline:
                self._give_up(left)
                return
            self._control.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _round(self) -> int:
        """One look at everything pending. Returns how many rows are still not as published."""
        left = 0
        for page in self._pending_pages():
            agreed = self._agreed(page)
            left += len(page) - len(agreed)
            self._control.obey(self._ledger.mark(agreed, Verification.VERIFIED))
        return left

    def _agreed(self, page: Sequence[Drift]) -> list[int]:
        keys: dict[int, Key] = {row.pk: restore_key(self._task_key, row.task_id) for row in page}
        theirs = self._index.by_keys(list(keys.values()))
        mine = self._source.by_keys(list(keys.values()))
        return [row.pk for row in page if caught_up(row, mine.get(keys[row.pk]), theirs.get(keys[row.pk]))]

    def _give_up(self, left: int) -> None:
        for page in self._pending_pages():
            self._ledger.mark([row.pk for row in page], Verification.UNRESOLVED)
        self._ledger.note(
            f"{left:,} tasks were published but the index still differs: is the indexer running?", EventLevel.WARNING
        )

    def _pending_pages(self) -> Iterator[list[Drift]]:
        behind = 0
        while True:
            pending = Drift.objects.filter(job_id=self._ledger.job_id, verification=Verification.PENDING)
            page = list(pending.filter(pk__gt=behind).order_by("pk").only("task_id", "source_version", "job_id")[:PAGE])
            if not page:
                return
            behind = page[-1].pk
            yield page


def caught_up(published: Drift, source: Row | None, index: Row | None) -> bool:
    """Whether the index has what was published, or something newer because the task went on changing."""
    if drift_kind(source, index) is None:
        return True
    if index is None or index.version is None or published.source_version is None:
        return False
    return source is not None and not source.deleted and index.version >= published.source_version
