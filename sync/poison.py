"""Finding the one task that breaks a chunk, so that a job can go on without it.

A row that the source or the index cannot give (a corrupt value, an expression of the estate that fails on it) makes the
whole query fail. The suspects are then halved until it stands alone; it is set aside with its error, and the others are
judged. Where already the walk cannot read a chunk, that chunk is looked at by its keys alone, which reads no value.

A fault that is no single row's (a right taken away, a column gone) is told from one that is by asking for a task that
does not exist: where that fails too, the error stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from opsconsole.errors import OutsideDataError
from opsconsole.keys import NO_KEY, Key, KeyKind
from sync.engine.compare import Judgement, Step, TaskError
from sync.engine.walk import MOST_SUSPECTS, Look, Walk, nearer
from sync.secondlook import Judge

MOST_SET_ASIDE = 100
"""Tasks that one attempt sets aside. Where there are more, it is no matter of single rows."""

KeysOf: TypeAlias = Callable[[Key | None, int], Sequence[Key]]
"""The keys of an organization behind a key, at most so many, in order; reads nothing else."""


@dataclass(slots=True)
class Careful:
    """A second look that survives single rows."""

    look: Judge
    task_key: KeyKind
    set_aside: int = 0

    def __call__(self, suspects: Sequence[Key], now: Callable[[], datetime]) -> Judgement:
        try:
            return self.look(suspects, now)
        except OutsideDataError as error:
            return self._without_poison(suspects, now, error)

    def _without_poison(
        self, suspects: Sequence[Key], now: Callable[[], datetime], error: OutsideDataError
    ) -> Judgement:
        if len(suspects) > 1:
            middle = len(suspects) // 2
            return self(suspects[:middle], now).joined(self(suspects[middle:], now))
        self.look([NO_KEY[self.task_key]], now)  # raises what is wrong with more than this row
        self.set_aside += 1
        if self.set_aside > MOST_SET_ASIDE:
            raise error
        return Judgement((), 0, (TaskError(suspects[0], Step.COMPARE, str(error)),))


def walk_past_poison(walk: Walk, sides: Sequence[KeysOf] | None, after: Key | None, upto: Key | None) -> Iterator[Look]:
    """The looks of `walk` over (after, upto]; a chunk that it cannot read is looked at by its keys, and the walk goes
    on behind it. `sides` give the keys of source and index; None where an adapter cannot: then the error stands."""
    while True:
        try:
            for look in walk(after, upto):
                yield look
                after = look.upto
            return
        except OutsideDataError:
            if sides is None:
                raise
            look = _look_at_all(sides, after, upto)
        yield look
        if look.upto == upto:
            return
        after = look.upto


def _look_at_all(sides: Sequence[KeysOf], after: Key | None, upto: Key | None) -> Look:
    """A chunk in which every task is a suspect, those marked deleted among them."""
    limit = MOST_SUSPECTS // 2
    pages = [keys(after, limit) for keys in sides]
    end = min((page[-1] for page in pages if len(page) >= limit), default=None)
    end = nearer(end, upto)
    within = [[key for key in page if end is None or key <= end] for page in pages]  # type: ignore[operator]  # one kind
    suspects = sorted(set().union(*within))
    return Look(end, len(within[0]), tuple(suspects))
