"""One look at a source: every task evaluated, what changed written down, and what has to be done, done.

A portion at a time, each in one transaction with the decisions it led to: killed anywhere, the next look goes on from
what is written, and decides the same of the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import perf_counter

from django.db import transaction
from django.db.models import Q

from monitoring.abandonment.evaluator import Circumstances, Decision, evaluate
from monitoring.abandonment.guards import Outage, alerts_wait, nothing_is_disabled
from monitoring.abandonment.models import FailingSpell, LookGap, SourceLook, TrackedTask
from monitoring.abandonment.operations import outages
from monitoring.abandonment.operations.carrying_out import carry_out_all, delivered_at, forget_gone, note_seen
from monitoring.abandonment.operations.policies import policy_book
from monitoring.abandonment.operations.storing import (
    Stored,
    analyze,
    glance,
    is_worth_writing,
    read_stored,
    row_of,
    write_rows,
)
from monitoring.abandonment.rules import PolicyBook
from monitoring.abandonment.source import SeenTask, TrackedTable
from opsconsole import estate
from opsconsole.errors import ConsoleError
from opsconsole.estate.model import TrackedSource

BUSY = timedelta(minutes=2)
"""How long somebody who looks is believed to be at it after a portion."""

INTERVALS_UNSEEN = 3
LEAST_PATIENCE = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Around:
    """What holds for the whole of a look. `settling`: nothing is begun, since outages are not known yet."""

    source: TrackedSource
    policies: PolicyBook
    now: datetime
    looked_at: datetime | None
    outages: dict[str, Outage]
    settling: bool = False

    @property
    def patience(self) -> timedelta:
        return patience_of(self.source)

    def circumstances(self, scope: str, delivered: datetime | None) -> Circumstances:
        outage = self.outages.get(scope)
        return Circumstances(
            patience=self.patience,
            delivered_at=delivered,
            outage=self.settling or nothing_is_disabled(outage, self.now),
            held_alerts=self.settling or alerts_wait(outage, self.now),
        )


@dataclass(slots=True)
class Looked:
    """What a look came to. `error` says why it could not read everything."""

    tasks: int = 0
    written: int = 0
    gone: int = 0
    seconds: float = 0.0
    decisions: dict[str, int] = field(default_factory=dict)
    error: str = ""


def patience_of(source: TrackedSource) -> timedelta:
    """Looks further apart than this leave time that nobody saw."""
    return max(LEAST_PATIENCE, timedelta(seconds=INTERVALS_UNSEEN * source.look_every))


def look_at_due(now: datetime) -> int:
    """Look at every source whose time has come. Returns how many."""
    return sum(look_at(source, now) is not None for source in due_sources(now))


def due_sources(now: datetime) -> list[TrackedSource]:
    """Sources with a table or a query that were not looked at, or tried, within their interval. One query, none where
    the estate has no such source."""
    wanted = [one for one in estate.current().tracked_tasks if not one.reported]
    tried = dict(SourceLook.objects.values_list("source", "tried_at")) if wanted else {}
    return [one for one in wanted if _is_due(tried.get(one.name), one, now)]


def _is_due(tried: datetime | None, source: TrackedSource, now: datetime) -> bool:
    return tried is None or now - tried >= timedelta(seconds=source.look_every)


def look_at(source: TrackedSource, now: datetime) -> Looked | None:
    """Look now. None where somebody else does. A source that cannot be read leaves its tasks as they were."""
    if not claim(source.name, now):
        return None
    looked, began = Looked(), perf_counter()
    try:
        with TrackedTable(source, now) as table:
            note_seen((), first=True)
            for portion in table.portions():
                note_seen([seen.key for seen in portion], first=False)
                _take_portion(source, portion, now, looked)
                if looked.written == looked.tasks == len(portion):
                    analyze()
        looked.gone = forget_gone(source.name, now)
    except ConsoleError as error:
        looked.error = str(error)
    looked.seconds = perf_counter() - began
    end(source, looked, now)
    return looked


def claim(source: str, now: datetime) -> bool:
    """Become the one who looks at it."""
    SourceLook.objects.bulk_create([SourceLook(source=source)], ignore_conflicts=True)
    free = SourceLook.objects.filter(source=source).filter(Q(busy_until=None) | Q(busy_until__lte=now))
    return bool(free.update(busy_until=now + BUSY, tried_at=now))


def _take_portion(source: TrackedSource, portion: Sequence[SeenTask], now: datetime, looked: Looked) -> None:
    with transaction.atomic():
        take(around_of(source, now), portion, looked)


def around_of(source: TrackedSource, now: datetime) -> Around:
    """Three queries."""
    look = SourceLook.objects.filter(source=source.name).first()
    looked_at = look.looked_at if look else None
    settling = looked_at is None or now - looked_at > patience_of(source)
    return Around(source, policy_book(), now, looked_at, outages.current(source.name, now), settling)


def take(around: Around, portion: Sequence[SeenTask], looked: Looked) -> None:
    """Evaluate these tasks, write them down and do what follows. Inside a transaction."""
    portion = list({seen.key: seen for seen in portion}.values())  # a query may give an id twice; the last one counts
    eventful = list(portion) if around.source.reported else _eventful(around, portion)
    _take_eventful(around, eventful, looked)
    looked.tasks += len(portion)
    SourceLook.objects.filter(source=around.source.name).update(busy_until=around.now + BUSY)


def _eventful(around: Around, portion: Sequence[SeenTask]) -> list[SeenTask]:
    """Those that have to be evaluated. Reads without a lock: who is locked is read again."""
    known = glance(around.source.name, [seen.key for seen in portion])
    now, looked_at, patience, rules = around.now, around.looked_at, around.patience, around.policies.rules
    return [
        seen
        for seen in portion
        if (row := known.get(seen.key)) is None
        or not row.is_uneventful(seen, rules(seen.scope, seen.kind), now, looked_at=looked_at, patience=patience)
    ]


def _take_eventful(around: Around, portion: Sequence[SeenTask], looked: Looked) -> None:
    if not portion:
        return
    stored = read_stored(around.source.name, [seen.key for seen in portion])
    delivered = delivered_at(_awaited(stored.values()))
    rows, acts, flips = [], [], []
    for seen in portion:
        before = stored.get(seen.key)
        past = before.memory(around.looked_at) if before else None
        rules = around.policies.rules(seen.scope, seen.kind)
        circumstances = around.circumstances(seen.scope, delivered.get(before["id"]) if before else None)
        found = evaluate(seen.facts, past, rules, around.now, circumstances)
        row = row_of(around.source.name, seen, found)
        if around.source.reported or is_worth_writing(row, before, around.now):
            rows.append(row)
        if found.decisions:
            acts.append((seen.key, found.decisions))
        if _is_failing(seen) != (before is not None and _was_failing(before)):
            flips.append(seen)
    write_rows(rows)
    _note_spells(around, flips)
    _act(around, acts, looked)
    looked.written += len(rows)


def _awaited(stored: Iterable[Stored]) -> Iterator[tuple[int, int]]:
    """Task and number of each warning of which nobody knows that it was delivered."""
    for row in stored:
        if row["notice_number"] is not None and row["notice_delivered_at"] is None:
            yield row["id"], row["notice_number"]


def _is_failing(seen: SeenTask) -> bool:
    return seen.facts.enabled and seen.facts.has_shards and not seen.facts.healthy


def _was_failing(before: Stored) -> bool:
    return bool(before["enabled"] and before["has_shards"] and not before["healthy"] and before["gone_at"] is None)


def _note_spells(around: Around, flips: Sequence[SeenTask]) -> None:
    """Begin and end the spells of failing that the history is drawn from."""
    ids = dict(
        TrackedTask.objects.filter(source=around.source.name, key__in=[seen.key for seen in flips]).values_list(
            "key", "id"
        )
    )
    over = [ids[seen.key] for seen in flips if not _is_failing(seen)]
    FailingSpell.objects.filter(task__in=over, ended_at__isnull=True).update(ended_at=around.now)
    begun = [(ids[seen.key], _began(seen, around)) for seen in flips if _is_failing(seen)]
    FailingSpell.objects.bulk_create(
        [FailingSpell(task_id=task, began_at=at) for task, at in begun], ignore_conflicts=True
    )


def _began(seen: SeenTask, around: Around) -> datetime:
    """When it was last seen healthy, if that is known; not before the last look that saw it so."""
    last = seen.facts.last_healthy_at or (seen.facts.created_at if around.looked_at is None else None)
    return min(last or around.now, around.now)


def _act(around: Around, acts: Sequence[tuple[str, tuple[Decision, ...]]], looked: Looked) -> None:
    if not acts:
        return
    rows = TrackedTask.objects.filter(source=around.source.name, key__in=[key for key, _ in acts])
    tasks = {task.key: task for task in rows}
    decided = [(tasks[key], decision) for key, decisions in acts for decision in decisions]
    carry_out_all(decided, around.now)
    for _, decision in decided:
        name = type(decision).__name__
        looked.decisions[name] = looked.decisions.get(name, 0) + 1


def end(source: TrackedSource, looked: Looked, now: datetime) -> None:
    """Write down what the look came to, a time that nobody saw, and outages that began or ended."""
    with transaction.atomic():
        row = SourceLook.objects.select_for_update().get(source=source.name)
        row.busy_until, row.error, row.seconds = None, looked.error, looked.seconds
        if looked.error:
            row.unreadable_since = row.unreadable_since or now
        else:
            if row.looked_at is not None and now - row.looked_at > patience_of(source):
                gap = LookGap(source=source.name, began_at=row.looked_at, ended_at=now)
                LookGap.objects.bulk_create([gap], ignore_conflicts=True)
            row.looked_at, row.unreadable_since, row.tasks = now, None, looked.tasks
            outages.detect(source, now)
        row.save()
