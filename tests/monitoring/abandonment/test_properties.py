"""No sequence of events, and no restart between them, leads to a disabling without a delivered warning of full length,
to a second open alert, or to a word that all is fine for a disabled task."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from monitoring.abandonment.evaluator import Circumstances, Disable, Evaluation, Fire, Remind, Resolve, Warn, evaluate
from monitoring.abandonment.facts import Facts, Notice, Remembered, Trouble
from monitoring.abandonment.operations.storing import GLANCED, Glance, Stored, is_worth_writing, row_of
from monitoring.abandonment.rules import DAY, Rules, Stage
from monitoring.abandonment.source import SeenTask

START = datetime(2026, 1, 1, tzinfo=UTC)
OWNERS = ("", "ann@example.com", "ben@example.com")
STAGES = st.sampled_from(list(Stage))
STEPS = st.one_of(
    st.integers(0, 3 * 3_600).map(lambda seconds: timedelta(seconds=seconds)),
    st.integers(0, 45 * 24).map(lambda hours: timedelta(hours=hours)),
)


class Life(RuleBasedStateMachine):
    """A task, its owner, its policy, the post and the people at the console, all doing what they like.

    What the machine keeps beside the console's memory is what really happened; the console never sees that.
    """

    @initialize(failing=STAGES, idle=STAGES, healthy=st.booleans(), owner=st.sampled_from(OWNERS))
    def begins(self, failing: Stage, idle: Stage, healthy: bool, owner: str) -> None:
        self.now = START
        self.facts = Facts(healthy=healthy, owner=owner, created_at=START - 100 * DAY, last_healthy_at=START)
        self.policy = Rules(failing_stage=failing, idle_stage=idle)
        self.memory: Remembered | None = None
        self.outage = self.held = False
        self.open: Trouble | None = None
        self.sent: dict[int, Notice] = {}
        self.delivered: dict[int, datetime] = {}

    def _evaluate(self) -> Evaluation:
        latest = self.memory.notice.number if self.memory and self.memory.notice else 0
        around = Circumstances(
            patience=DAY,
            delivered_at=self.delivered.get(latest),
            outage=self.outage,
            held_alerts=self.held and self.outage,
        )
        found = evaluate(self.facts, self.memory, self.policy, self.now, around)
        self._judge_glance(found)
        return found

    def _judge_glance(self, found: Evaluation) -> None:
        """What a glance leaves out of a look would have come to nothing: no decision, and nothing to write."""
        if self.memory is None:
            return
        stored = Stored((*row_of("s", self.seen, replace(self.found, remembered=self.memory)), False, None, 1))
        glanced = Glance(tuple(stored[name] for name in GLANCED))
        seen = SeenTask("1", self.facts)
        if glanced.is_uneventful(seen, self.policy, self.now, looked_at=None, patience=DAY):
            assert found.decisions == ()
            assert not is_worth_writing(row_of("s", seen, found), stored, self.now)

    @rule()
    def looks(self) -> None:
        found = self._evaluate()
        for one in found.decisions:
            self._judge(one)
        self.memory, self.found, self.seen = found.remembered, found, SeenTask("1", self.facts)
        assert self.memory.trouble is self.open

    @rule()
    def looks_and_dies_before_anything_is_written_down(self) -> None:
        self._evaluate()

    def _judge(self, decision: object) -> None:
        if isinstance(decision, Fire):
            assert self.open is None, "a second open alert"
            self.open = decision.trouble
        elif isinstance(decision, Resolve):
            assert self.open is decision.trouble
            assert decision.silently or self.facts.enabled, "all is fine, of a disabled task"
            assert decision.silently or decision.trouble is Trouble.IDLE or self.facts.healthy
            self.open = None
        elif isinstance(decision, Warn):
            assert self.open is not None
            assert decision.notice.number not in self.sent, "one number, two warnings"
            assert decision.notice.owner == self.facts.owner != ""
            self.sent[decision.notice.number] = decision.notice
        elif isinstance(decision, Remind):
            assert self.policy.stage(self.open or Trouble.IDLE) is Stage.DISABLE
            assert decision.notice.disable_at is not None
            assert self.now < decision.notice.disable_at
        elif isinstance(decision, Disable):
            self._judge_disabling(decision)

    def _judge_disabling(self, decision: Disable) -> None:
        warning = self.sent[max(self.sent)]
        assert decision.notice.number == warning.number
        assert warning.owner == self.facts.owner
        assert warning.length is not None
        assert self.now >= self.delivered[warning.number] + warning.length, "less than the whole notice"
        assert self.open is decision.trouble
        assert self.policy.stage(decision.trouble) is Stage.DISABLE
        assert self.facts.enabled
        assert not self.facts.protected
        assert not self.outage
        assert not (decision.trouble is Trouble.ABANDONED and self.facts.healthy)
        assert self.memory is not None
        assert not self.memory.exempt
        assert self.memory.keep_until is None or self.now >= self.memory.keep_until
        changed = self.facts.changed_at
        assert changed is None or changed <= warning.made_at, "a person changed it since the warning"

    @rule(step=STEPS)
    def time_passes(self, step: timedelta) -> None:
        self.now += step

    @rule(days=st.integers(1, 40), hours=st.sampled_from([6, 12, 24]))
    def time_passes_under_watch(self, days: int, hours: int) -> None:
        for _ in range(days * 24 // hours):
            self.now += timedelta(hours=hours)
            self.looks()

    @rule(healthy=st.booleans())
    def its_system_sees_it(self, healthy: bool) -> None:
        last = self.now if healthy else self.facts.last_healthy_at
        self.facts = replace(self.facts, healthy=healthy and self.facts.enabled, last_healthy_at=last)

    @rule(owner=st.sampled_from(OWNERS[1:]), delivered=st.booleans())
    def it_is_forgotten_for_a_month(self, owner: str, delivered: bool) -> None:
        """What would otherwise take too many lucky steps: it is warned, and the countdown may run."""
        self.facts = replace(self.facts, healthy=False, enabled=True, owner=owner)
        self.policy = Rules(failing_stage=Stage.DISABLE, idle_stage=Stage.DISABLE)
        self.time_passes_under_watch(31, 24)
        if delivered:
            self.the_post_delivers()
            self.looks()

    @rule(days=st.integers(5, 9))
    def the_countdown_runs(self, days: int) -> None:
        self.time_passes_under_watch(days, 12)

    @rule()
    def it_restarts(self) -> None:
        self.facts = replace(self.facts, restarts=self.facts.restarts + 1)

    @rule()
    def it_moves_data(self) -> None:
        self.facts = replace(self.facts, last_data_at=self.now)

    @rule(enabled=st.booleans())
    def somebody_switches_it(self, enabled: bool) -> None:
        self.facts = replace(self.facts, enabled=enabled, healthy=self.facts.healthy and enabled)

    @rule()
    def a_person_changes_it(self) -> None:
        self.facts = replace(self.facts, changed_at=self.now)

    @rule(owner=st.sampled_from(OWNERS))
    def it_has_another_owner(self, owner: str) -> None:
        self.facts = replace(self.facts, owner=owner)

    @rule(protected=st.booleans())
    def it_is_protected(self, protected: bool) -> None:
        self.facts = replace(self.facts, protected=protected)

    @rule(outage=st.booleans(), held=st.booleans())
    def an_outage(self, outage: bool, held: bool) -> None:
        self.outage, self.held = outage, held

    @rule(failing=STAGES, idle=STAGES, after=st.integers(1, 60), notice=st.integers(1, 30))
    def the_policy_changes(self, failing: Stage, idle: Stage, after: int, notice: int) -> None:
        long = after * DAY
        self.policy = Rules(failing, idle, failing_after=long, idle_after=long, notice=notice * DAY)

    @rule(days=st.integers(0, 30))
    def somebody_keeps_it(self, days: int) -> None:
        if self.memory is not None:
            self.memory = replace(self.memory, keep_until=self.now + days * DAY)

    @rule(exempt=st.booleans())
    def somebody_exempts_it(self, exempt: bool) -> None:
        if self.memory is not None:
            self.memory = replace(self.memory, exempt=exempt)

    @rule()
    def the_post_delivers(self) -> None:
        for number in self.sent:
            self.delivered.setdefault(number, self.now)

    @rule()
    def somebody_warns_now(self) -> None:
        """As the page does it: an alert and a warning at once, before their time."""
        memory = self.memory
        if memory is None or memory.notice is not None or not self.facts.enabled or not self.facts.owner:
            return
        trouble = Trouble.ABANDONED if memory.failing_since is not None else Trouble.IDLE
        if memory.trouble not in (None, trouble) or (trouble is Trouble.IDLE and memory.quiet_since is None):
            return
        if memory.trouble is None:
            self._judge(Fire(trouble))
        since = memory.trouble_since or self.now
        self.memory = replace(memory, trouble=trouble, trouble_since=since, forced_at=self.now)

    @invariant()
    def at_most_one_alert_and_the_memory_agrees(self) -> None:
        if self.memory is not None:
            assert self.memory.trouble is self.open
            assert self.memory.notice is None or self.memory.trouble is not None


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
