"""What is to be done about one tracked task now. Pure: facts and memory in, new memory and decisions out.

Whoever carries the decisions out writes the new state down in the same transaction, so that a crash loses both or
neither; asked again, it decides the same. Nothing here disables: `Disable` says that it may be, and is looked at again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from monitoring.abandonment.facts import Facts, Notice, Remembered, Trouble
from monitoring.abandonment.health import first_look, next_look
from monitoring.abandonment.rules import Rules, Stage


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What holds beside the task itself.

    Looks further apart than `patience` leave time that nobody saw. `delivered_at` is when the last warning made was
    delivered, None where it was not (yet). `outage` says that the task's scope has a mass outage, or had one within
    the day; `held_alerts` that alerts about its tasks wait for its end.
    """

    patience: timedelta = timedelta(minutes=15)
    delivered_at: datetime | None = None
    outage: bool = False
    held_alerts: bool = False


@dataclass(frozen=True, slots=True)
class Fire:
    """Open an alert, or bring what it says up to date where one is open."""

    trouble: Trouble


@dataclass(frozen=True, slots=True)
class Resolve:
    """End the open alert. Silently: nobody is told that all is fine, because that is not what happened."""

    trouble: Trouble
    because: str
    silently: bool


@dataclass(frozen=True, slots=True)
class Warn:
    """Write to the owner. The notice is the one now remembered."""

    notice: Notice


@dataclass(frozen=True, slots=True)
class HandOver:
    """Tell the owner before that the task has a new one; that one gets a warning of its own."""

    owner: str
    number: int


@dataclass(frozen=True, slots=True)
class Remind:
    """Write to the owner once more; `before` is how long before the disabling this one was due."""

    notice: Notice
    before: timedelta


@dataclass(frozen=True, slots=True)
class Disable:
    """The promised time has come."""

    trouble: Trouble
    notice: Notice


Decision: TypeAlias = Fire | Resolve | Warn | HandOver | Remind | Disable


class Status(StrEnum):
    """Where a task stands, as lists show it."""

    HEALTHY = "healthy"
    FAILING = "failing"
    IDLE = "idle"
    WARNED = "warned"
    DISABLED = "disabled"
    WITHOUT_SHARDS = "without_shards"


class Hold(StrEnum):
    """Why nothing more is done about a task, although it would be its time."""

    NOTHING = ""
    EXEMPT = "exempt"
    KEPT = "kept"
    CHANGED = "changed"
    OUTAGE = "outage"
    PROTECTED = "protected"
    DETECT_ONLY = "detect_only"
    NOTIFY_ONLY = "notify_only"
    NO_OWNER = "no_owner"
    UNDELIVERED = "undelivered"
    HEALTHY_NOW = "healthy_now"


@dataclass(frozen=True, slots=True)
class Evaluation:
    remembered: Remembered
    decisions: tuple[Decision, ...]
    status: Status
    hold: Hold


def evaluate(
    facts: Facts, past: Remembered | None, rules: Rules, now: datetime, circumstances: Circumstances = Circumstances()
) -> Evaluation:
    """One look at a task. `past` is None for one never seen before.

    Warnings are made once for each trouble, owner and promise; a promise, once delivered, keeps its time whatever the
    policy becomes, but nothing is disabled while the policy does not disable.
    """
    state = (
        first_look(facts, now) if past is None else next_look(facts, past, rules.lasting, circumstances.patience, now)
    )
    trouble, held = trouble_of(facts, state, rules, now)
    if trouble is not None and state.trouble is None and circumstances.held_alerts:
        trouble, held = None, Hold.OUTAGE
    state, alerts = _alerts(facts, state, trouble, held, now)
    if trouble is None:
        return Evaluation(state, tuple(alerts), status_of(facts, state, rules, now), held)
    steps = _Steps(facts, state, trouble, rules, circumstances, now)
    decisions = (*alerts, *steps.take())
    return Evaluation(steps.state, decisions, status_of(facts, steps.state, rules, now), steps.hold)


def trouble_of(facts: Facts, state: Remembered, rules: Rules, now: datetime) -> tuple[Trouble | None, Hold]:
    """What is wrong with it for long enough, and what holds that back."""
    if not (facts.enabled and facts.has_shards):
        return None, Hold.NOTHING
    found = _found(state, rules, now)
    if found is None:
        return None, Hold.NOTHING
    if state.exempt:
        return None, Hold.EXEMPT
    if state.keep_until is not None and now < state.keep_until:
        return None, Hold.KEPT
    if _changed_lately(facts, state, rules, now):
        return None, Hold.CHANGED
    return found, Hold.NOTHING


def _found(state: Remembered, rules: Rules, now: datetime) -> Trouble | None:
    if state.failing_since is not None:
        long = state.failing_for(now) >= rules.failing_after
        # A warning given before its time holds for what it was about.
        asked = state.forced_at is not None and state.trouble is Trouble.ABANDONED
        return Trouble.ABANDONED if long or asked else None
    if state.quiet_since is not None:
        long = state.quiet_for(now) >= rules.idle_after
        asked = state.forced_at is not None and state.trouble is Trouble.IDLE and state.quiet_since <= state.forced_at
        return Trouble.IDLE if long or asked else None
    return None


def _changed_lately(facts: Facts, state: Remembered, rules: Rules, now: datetime) -> bool:
    if facts.changed_at is None:
        return False
    if state.forced_at is not None and facts.changed_at <= state.forced_at:
        return False  # whoever asked for the warning knew of that change
    return now - facts.changed_at < rules.recency


def status_of(facts: Facts, state: Remembered, rules: Rules, now: datetime) -> Status:
    if not facts.enabled:
        return Status.DISABLED
    if not facts.has_shards:
        return Status.WITHOUT_SHARDS
    if state.trouble is not None and state.notice is not None:
        return Status.WARNED
    if state.failing_since is not None:
        return Status.FAILING
    return Status.IDLE if state.quiet_since is not None and state.quiet_for(now) >= rules.idle_after else Status.HEALTHY


def _alerts(
    facts: Facts, state: Remembered, trouble: Trouble | None, held: Hold, now: datetime
) -> tuple[Remembered, list[Decision]]:
    """Open and close alerts: one at a time for a task, and a warning ends with the trouble that it was about."""
    if trouble is state.trouble:
        return state, []
    decisions: list[Decision] = []
    if state.trouble is not None:
        because, silently = _why_over(facts, state, trouble, held)
        decisions.append(Resolve(state.trouble, because, silently))
    if trouble is not None:
        decisions.append(Fire(trouble))
    since = now if trouble is not None else None
    return replace(state, trouble=trouble, trouble_since=since, notice=None, forced_at=None), decisions


REASONS = {
    Hold.EXEMPT: "It is exempt.",
    Hold.KEPT: "It is kept, at somebody's wish.",
    Hold.CHANGED: "A person changed it.",
}


def _why_over(facts: Facts, state: Remembered, trouble: Trouble | None, held: Hold) -> tuple[str, bool]:
    """The reason, and whether it is to be told silently: everything is but a real recovery."""
    if not facts.enabled:
        return "It is disabled.", True
    if not facts.has_shards:
        return "It has no shards any more.", True
    if held in REASONS:
        return REASONS[held], True
    if trouble is not None:
        return f"It is {trouble.value} now.", True
    recovered = _recovery(state)
    return (recovered, False) if recovered else ("The policy allows it more time.", True)


def _recovery(state: Remembered) -> str:
    """What became well; empty where nothing did."""
    if state.trouble is Trouble.ABANDONED:
        return "It is healthy again." if state.failing_since is None else ""
    assert state.trouble_since is not None, "it is set with the trouble"
    moved = state.quiet_since is not None and state.quiet_since > state.trouble_since
    return "It moves data again." if moved else ""


class _Steps:
    """The owner's warning, its reminders and the disabling, for a task whose alert is open."""

    def __init__(
        self, facts: Facts, state: Remembered, trouble: Trouble, rules: Rules, around: Circumstances, now: datetime
    ) -> None:
        self.facts, self.state, self.trouble, self.rules, self.around, self.now = (
            facts,
            state,
            trouble,
            rules,
            around,
            now,
        )
        self.hold = Hold.NOTHING

    def take(self) -> list[Decision]:
        stage = self.rules.stage(self.trouble)
        self._note_delivery()
        self.hold = self._held(stage)
        if self.hold is not Hold.NOTHING:
            return []
        return list(self._warning(stage)) or list(self._countdown(stage))

    def _note_delivery(self) -> None:
        notice, delivered = self.state.notice, self.around.delivered_at
        if notice is not None and notice.delivered_at is None and delivered is not None:
            self.state = replace(self.state, notice=replace(notice, delivered_at=delivered))

    def _held(self, stage: Stage) -> Hold:
        if self.facts.protected:
            return Hold.PROTECTED
        if stage < Stage.NOTIFY and self.state.forced_at is None:
            return Hold.DETECT_ONLY
        if self.around.outage:
            return Hold.OUTAGE
        return Hold.NOTHING if self.facts.owner else Hold.NO_OWNER

    def _warning(self, stage: Stage) -> Iterator[Decision]:
        """A warning where there is none, or where the one there is is another owner's or announces less than is due."""
        notice = self.state.notice
        length = self.rules.notice if stage is Stage.DISABLE else None
        if notice is not None and notice.owner == self.facts.owner and (notice.length is not None or length is None):
            return
        if notice is not None and notice.owner != self.facts.owner:
            yield HandOver(notice.owner, notice.number)
        number = self.state.notices + 1
        made = Notice(number, self.facts.owner, length, self.now)
        self.state = replace(self.state, notice=made, notices=number)
        yield Warn(made)

    def _countdown(self, stage: Stage) -> Iterator[Decision]:
        notice = self.state.notice
        assert notice is not None, "there is one after a warning"
        if notice.length is None or stage is not Stage.DISABLE:
            self.hold = Hold.NOTIFY_ONLY
            return
        if notice.disable_at is None:
            self.hold = Hold.UNDELIVERED
            return
        if self.now >= notice.disable_at:
            if self.trouble is Trouble.ABANDONED and self.facts.healthy:
                self.hold = Hold.HEALTHY_NOW
                return
            yield Disable(self.trouble, notice)
            return
        due = _reminder(self.rules, notice, notice.disable_at, self.now)
        if due is not None:
            self.state = replace(self.state, notice=replace(notice, reminded=due))
            yield Remind(notice, due)


def _reminder(rules: Rules, notice: Notice, disable_at: datetime, now: datetime) -> timedelta | None:
    """The last reminder that is due and was not sent; earlier ones that were missed are left out."""
    assert notice.length is not None
    shorter = [before for before in rules.reminders if before < notice.length]
    due = min((before for before in shorter if disable_at - before <= now), default=None)
    return due if due is not None and (notice.reminded is None or due < notice.reminded) else None
