"""Policies: what is done about tasks of a scope and a kind, and which policy holds for a task. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum

from monitoring.abandonment.facts import Trouble

DAY = timedelta(days=1)
ANY = "*"


class Stage(IntEnum):
    """How far the console goes. Each does what the ones before it do, too."""

    DETECT = 0
    NOTIFY = 1
    DISABLE = 2

    @property
    def label(self) -> str:
        return ("Detect only", "Notify the owner", "Notify, then disable")[self]


@dataclass(frozen=True, slots=True)
class Rules:
    """One policy. Off by default: troubles are detected, nobody is written to and nothing is disabled.

    `failing_after` and `idle_after` are when a task counts as abandoned or idle; from `watch_after` on a failing one is
    shown as one to watch, without an alert. `notice` lies between the delivery of the warning and the disabling,
    `reminders` are so long before that. A person's change within `recency` holds back. Health counts when it lasted
    for `lasting`.
    """

    failing_stage: Stage = Stage.DETECT
    idle_stage: Stage = Stage.DETECT
    failing_after: timedelta = 30 * DAY
    idle_after: timedelta = 30 * DAY
    watch_after: timedelta = 14 * DAY
    notice: timedelta = 7 * DAY
    recency: timedelta = 14 * DAY
    lasting: timedelta = timedelta(hours=2)
    reminders: tuple[timedelta, ...] = (3 * DAY, DAY)

    def stage(self, trouble: Trouble) -> Stage:
        return self.failing_stage if trouble is Trouble.ABANDONED else self.idle_stage


DEFAULT = Rules()


@dataclass(frozen=True, slots=True)
class Aim:
    """Whom a policy is for: a scope and a kind, each exact (`eu-1`), by its beginning (`eu-*`), or any (`*`)."""

    scope: str = ANY
    kind: str = ANY

    def fits(self, scope: str, kind: str) -> bool:
        return _fits(self.scope, scope) and _fits(self.kind, kind)

    @property
    def rank(self) -> tuple[int, int]:
        """The narrower aim has the higher one: exact before a longer beginning before a shorter before any, the scope
        before the kind."""
        return _narrowness(self.scope), _narrowness(self.kind)


EXACT = 1_000  # narrower than the longest beginning


def _fits(pattern: str, text: str) -> bool:
    return text.startswith(pattern[:-1]) if pattern.endswith(ANY) else text == pattern


def _narrowness(pattern: str) -> int:
    return len(pattern) - 1 if pattern.endswith(ANY) else EXACT


@dataclass(frozen=True, slots=True)
class Aimed:
    aim: Aim
    rules: Rules


class PolicyBook:
    """All policies together: which one holds for a task. What was found once is remembered."""

    def __init__(self, policies: Iterable[Aimed] = ()) -> None:
        self._policies = sorted(policies, key=lambda one: one.aim.rank, reverse=True)
        self._found: dict[tuple[str, str], Aimed] = {}

    def policy(self, scope: str, kind: str) -> Aimed:
        """The narrowest policy that fits, the default where none does."""
        known = self._found.get((scope, kind))
        if known is None:
            fitting = (one for one in self._policies if one.aim.fits(scope, kind))
            known = self._found[scope, kind] = next(fitting, Aimed(Aim(), DEFAULT))
        return known

    def rules(self, scope: str, kind: str) -> Rules:
        return self.policy(scope, kind).rules
