"""The drift canary: every few minutes a sample of tasks is compared, so that a gap is found before a customer does."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from django.utils import timezone

from monitoring.pipeline import limits
from monitoring.pipeline.models import CanaryRound
from monitoring.pipeline.sampling import EACH, updated_about, updated_after, updated_last
from opsconsole import estate
from opsconsole.errors import ConsoleError
from opsconsole.estate.model import Estate, Pipeline
from opsconsole.keys import Key, restore_key
from sync.engine.rows import DriftKind, Finding
from sync.index import IndexSide, open_index
from sync.secondlook import ByValue
from sync.source import Source

STATEMENT_SECONDS = 10.0
KEPT_FOR = timedelta(days=90)
TASKS_SHOWN = 20
EDGE = timedelta(seconds=1)
BLOCK = 500
MOST_BLOCKS = 20
"""How far the edges of what differs are looked for, in each direction: 10,000 tasks."""


def is_due(now: datetime) -> bool:
    """Whether the last round began long enough ago. Two queries."""
    last = CanaryRound.objects.order_by("-at").values_list("at", flat=True).first()
    return last is None or (now - last).total_seconds() >= limits.current().canary_every


def run_due(now: datetime) -> CanaryRound | None:
    """A round, where one is due. A slow duty of the clock."""
    return run_round(estate.current(), limits.current(), now) if is_due(now) else None


def run_round(settings: Estate, wanted: Pipeline, now: datetime) -> CanaryRound:
    """Compare a sample and keep the result, an outage of either side too. Every statement ends after ten seconds."""
    started = time.monotonic()
    try:
        with ExitStack() as stack:
            source = stack.enter_context(Source(replace(settings.source, statement_timeout=STATEMENT_SECONDS)))
            index = stack.enter_context(open_index(settings))
            result = Round(settings, source, index, now).compare(wanted)
    except ConsoleError as error:
        result = CanaryRound(error=str(error))
    result.at, result.seconds = now, time.monotonic() - started
    result.save()
    return result


@dataclass(slots=True)
class Round:
    """One round: a sample by the engine's own judgement, then the edges of what differs."""

    settings: Estate
    source: Source
    index: IndexSide
    now: datetime
    found: dict[str, Finding] = field(default_factory=dict)
    unsettled: int = 0

    @property
    def _before(self) -> datetime:
        """What was updated since then is not judged."""
        return self.now - timedelta(seconds=self.settings.check.settle_time)

    def compare(self, wanted: Pipeline) -> CanaryRound:
        """The round as a row, not saved. Raises ConsoleError."""
        tasks = self.source.tasks
        moments = random_moments(wanted, self._before)
        last = updated_last(tasks, self._before, wanted.canary_recent)
        keys = list(dict.fromkeys([*last, *updated_about(tasks, moments, self._before)]))
        sample = self._look(keys)
        whole = self._find_edges() if len(sample) > wanted.canary_limit else True
        kinds = Counter(finding.kind for finding in sample)
        updates = self._updates()
        return CanaryRound(
            compared=len(keys),
            stale=kinds[DriftKind.STALE],
            missing=kinds[DriftKind.MISSING],
            orphan=kinds[DriftKind.ORPHAN],
            found=len(self.found),
            organizations=len(
                {state.organization for one in self.found.values() if (state := one.source or one.index)}
            ),
            whole=whole,
            unsettled=self.unsettled,
            window_from=updates[0].replace(microsecond=0) if updates else None,
            window_to=updates[-1].replace(microsecond=0) + EDGE if updates else None,
            tasks=[finding.task_id for finding in list(self.found.values())[:TASKS_SHOWN]],
        )

    def _look(self, keys: Sequence[Key]) -> list[Finding]:
        """Which of them differ, seen twice. Kept in `found`."""
        settle = timedelta(seconds=self.settings.check.settle_time)
        tasks = self.settings.source.tasks
        judge = ByValue(self.source, self.index, tasks.compare, tasks.id_type, settle)
        first = judge(keys, timezone.now) if keys else None
        if first is None or not first.findings:
            return []
        suspects = [restore_key(tasks.id_type, finding.task_id) for finding in first.findings]
        again = judge(suspects, timezone.now)
        self.unsettled += first.unsettled + again.unsettled
        self.found |= {finding.task_id: finding for finding in again.findings}
        return list(again.findings)

    def _updates(self) -> list[datetime]:
        """When the source changed what differs, in order."""
        times = [one.source.updated_at for one in self.found.values() if one.source and one.source.updated_at]
        return sorted(datetime.fromisoformat(text).astimezone(UTC) for text in times)

    def _find_edges(self) -> bool:
        """Compare the neighbours in time, block by block, until one has nothing that differs; backward, then forward
        with all that lies between. Returns whether both edges were found."""
        return not self._updates() or all((self._walk_back(), self._walk_on()))

    def _walk_back(self) -> bool:
        for _ in range(MOST_BLOCKS):
            keys = updated_last(self.source.tasks, self._updates()[0], BLOCK)
            if not keys or not self._look(keys):
                return True
        return False

    def _walk_on(self) -> bool:
        """From the first one that differs: what was sampled may lie far apart, and what is between counts, too."""
        reached = self._updates()[0]
        for _ in range(MOST_BLOCKS):
            keys, last = updated_after(self.source.tasks, reached, self._before, BLOCK)
            differing = self._look(keys)
            if last is None or (not differing and last >= self._updates()[-1]):
                return True
            reached = last
        return False


def random_moments(wanted: Pipeline, before: datetime) -> list[datetime]:
    count = -(-wanted.canary_random // EACH)
    return [before - timedelta(seconds=random.uniform(0, wanted.canary_reach)) for _ in range(count)]  # noqa: S311


def forget_old(now: datetime) -> int:
    return CanaryRound.objects.filter(at__lt=now - KEPT_FOR).delete()[0]
