"""One task's life under the evaluator, told in days; what a test says about it reads like the case it is of."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from monitoring.abandonment.evaluator import (
    Circumstances,
    Decision,
    Disable,
    Evaluation,
    Fire,
    HandOver,
    Remind,
    Resolve,
    Warn,
    evaluate,
)
from monitoring.abandonment.facts import Facts, Remembered
from monitoring.abandonment.rules import DAY, Rules, Stage

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
DISABLING = Rules(failing_stage=Stage.DISABLE, idle_stage=Stage.DISABLE)
NOTIFYING = Rules(failing_stage=Stage.NOTIFY, idle_stage=Stage.NOTIFY)
OWNER = "owner@example.com"


@dataclass
class Life:
    """Looks at a task whenever time passes, every `every`; `said` has every decision with its moment."""

    rules: Rules = DISABLING
    facts: Facts = field(default_factory=lambda: Facts(owner=OWNER, created_at=START, last_data_at=START))
    now: datetime = START
    every: timedelta = HOUR
    around: Circumstances = field(default_factory=lambda: Circumstances(patience=2 * HOUR))
    remembered: Remembered | None = None
    latest: Evaluation | None = None
    said: list[tuple[datetime, Decision]] = field(default_factory=list)

    def look(self) -> tuple[Decision, ...]:
        facts = self.facts
        if facts.healthy and facts.enabled:  # its system says so each time
            facts = replace(facts, last_healthy_at=self.now)
        self.facts = facts
        self.latest = evaluate(facts, self.remembered, self.rules, self.now, self.around)
        self.remembered = self.latest.remembered
        self.said += [(self.now, one) for one in self.latest.decisions]
        return self.latest.decisions

    def passes(self, time: timedelta, *, moving: bool = False) -> None:
        """Look again and again while `time` passes, at its very end, too; `moving`: data moves all the while."""
        end = self.now + time
        while self.now < end:
            self.now = min(self.now + self.every, end)
            if moving:
                self.facts = replace(self.facts, last_data_at=self.now)
            self.look()

    def unseen(self, time: timedelta) -> None:
        """Time passes, and nobody looks."""
        self.now += time

    def becomes(self, **facts: object) -> None:
        self.facts = replace(self.facts, **facts)  # type: ignore[arg-type]
        self.look()

    def delivers(self) -> None:
        """The warning arrives now."""
        self.around = replace(self.around, delivered_at=self.now)
        self.look()

    def warned(self) -> None:
        """Fails for thirty days; the warning arrives at once."""
        self.look()
        self.becomes(healthy=False)
        self.passes(30 * DAY)
        assert self.times(Warn) == [self.now]
        self.delivers()

    def times(self, kind: type[Decision]) -> list[datetime]:
        return [at for at, one in self.said if isinstance(one, kind)]

    def ones(self, kind: type[Decision]) -> list[Decision]:
        return [one for _, one in self.said if isinstance(one, kind)]

    def silent(self) -> bool:
        return not self.said


__all__ = [
    "DAY",
    "DISABLING",
    "HOUR",
    "MINUTE",
    "NOTIFYING",
    "OWNER",
    "SECOND",
    "START",
    "Disable",
    "Fire",
    "HandOver",
    "Life",
    "Remind",
    "Resolve",
    "Warn",
]
