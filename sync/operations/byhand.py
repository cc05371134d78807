"""What a sync by hand would meet: tasks as both sides have them now, compared. Nothing is written anywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from opsconsole import audit, estate, scope
from opsconsole.errors import UsageError
from opsconsole.estate.model import Estate
from opsconsole.keys import Key
from opsconsole.scope import OutsideScopeError
from opsconsole.times import Window
from sync.engine.compare import differing_fields, drift_kind, has_settled
from sync.engine.rows import DriftKind, Row
from sync.index import MOST_SEARCHED, open_index
from sync.models import Job, JobKind, Mode
from sync.operations.ids import organization_rules, require_keys, task_rules
from sync.operations.jobs import MOST_TASKS, sync_tasks
from sync.operations.staging import known_organizations
from sync.source import Source

MOST_COMPARED = MOST_TASKS
MOST_SHOWN = 200
PAGE_ROWS = 5_000
LONGEST_STATUS = 100


@dataclass(frozen=True, slots=True)
class ComparedTask:
    """One task on both sides. `kind` is how the index is wrong about it, None where it is right; a task that is not
    `settled` may only be under way. `fields` names what differs (stale only)."""

    key: Key
    source: Row | None
    index: Row | None
    kind: DriftKind | None
    fields: tuple[str, ...]
    settled: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """`keys` are all tasks that one side knows, `shown` the first 200 of them, those that differ first.

    `drift` counts settled differences by kind, `young` those that may be under way. `unknown` has what neither side
    knows. `more`: the window has more tasks than the 10,000 that were compared.
    """

    keys: tuple[Key, ...]
    shown: tuple[ComparedTask, ...]
    drift: Mapping[DriftKind, int]
    young: int
    unknown: tuple[Key, ...] = ()
    more: bool = False

    @property
    def differing(self) -> int:
        return sum(self.drift.values())

    @property
    def same(self) -> int:
        return len(self.keys) - self.differing - self.young


def compare(
    keys: Sequence[Key],
    source: Mapping[Key, Row],
    index: Mapping[Key, Row],
    *,
    names: Sequence[str],
    now: datetime,
    settle: timedelta,
    more: bool = False,
) -> Preview:
    """Pure. `names` are the compared fields, in the order of `Row.values`."""
    known = tuple(key for key in keys if key in source or key in index)
    tasks = [_compared(key, source.get(key), index.get(key), names, now, settle) for key in known]
    counts = Counter(task.kind for task in tasks if task.kind and task.settled)
    return Preview(
        keys=known,
        shown=tuple(sorted(tasks, key=_interest)[:MOST_SHOWN]),
        drift={kind: counts[kind] for kind in DriftKind},
        young=sum(task.kind is not None and not task.settled for task in tasks),
        unknown=tuple(key for key in keys if key not in source and key not in index),
        more=more,
    )


def _compared(
    key: Key, mine: Row | None, theirs: Row | None, names: Sequence[str], now: datetime, settle: timedelta
) -> ComparedTask:
    kind = drift_kind(mine, theirs)
    fields = differing_fields(mine, theirs, names) if kind is DriftKind.STALE and mine and theirs else ()
    return ComparedTask(key, mine, theirs, kind, fields, settled=mine is None or has_settled(mine, now, settle))


def _interest(task: ComparedTask) -> int:
    if task.kind is None:
        return 2
    return 0 if task.settled else 1


def preview_tasks(lines: str | Iterable[str]) -> Preview:
    """Tasks named by hand, their ids or links in any shape; at most 10,000. Raises UsageError and UnavailableError."""
    settings = estate.current()
    keys = require_keys(lines, task_rules(settings.source))
    if len(keys) > MOST_COMPARED:
        raise UsageError(
            f"{len(keys):,} tasks are too many by hand; allowed are {MOST_COMPARED:,}. Sync organizations instead."
        )
    with ExitStack() as stack:
        return _look(settings, keys, stack)


def preview_query(status: str, limit: int) -> Preview:
    """The first `limit` tasks that the index has in `status`, by id. Raises UsageError, UnavailableError."""
    if not 1 <= limit <= MOST_SEARCHED:
        raise UsageError(f"{limit:,} tasks cannot be asked for; allowed are 1 to {MOST_SEARCHED:,}.")
    if scope.current().organizations is not None:
        raise OutsideScopeError(
            "A query on the index finds tasks of all organizations, and your groups are limited to some; "
            "name the tasks."
        )
    if not (0 < len(status) <= LONGEST_STATUS and status.isprintable()):
        raise UsageError(f"{status[:LONGEST_STATUS]!r} is no status; allowed are 1 to {LONGEST_STATUS} characters.")
    settings = estate.current()
    with ExitStack() as stack:
        theirs = {row.key: row for row in stack.enter_context(open_index(settings)).search(status, limit)}
        mine = stack.enter_context(Source(settings.source)).by_keys(list(theirs))
        return _judge(settings, tuple(theirs), mine, theirs)


def preview_window(text: str, window: Window) -> Preview:
    """The tasks of one organization that were updated in `window`, the first 10,000 by id. A task that is gone from the
    source altogether has no time of update, and is not seen. Raises UsageError and UnavailableError."""
    settings = estate.current()
    keys = require_keys([text], organization_rules(settings.source))
    if len(keys) != 1:
        raise UsageError(f"One organization id is needed, and {len(keys):,} were given.")
    known_organizations(keys)
    with ExitStack() as stack:
        found = _window_keys(stack.enter_context(Source(settings.source)), keys[0], window)
        return _look(settings, found[:MOST_COMPARED], stack, more=len(found) > MOST_COMPARED)


def _window_keys(source: Source, organization: Key, window: Window) -> tuple[Key, ...]:
    """One more than are compared, where there are more."""
    keys: list[Key] = []
    while len(keys) <= MOST_COMPARED:
        page = source.window_page(organization, window, keys[-1] if keys else None, PAGE_ROWS)
        keys += [row.key for row in page]
        if len(page) < PAGE_ROWS:
            break
    return tuple(keys)


def _look(settings: Estate, keys: Sequence[Key], stack: ExitStack, *, more: bool = False) -> Preview:
    # The index first: what changes between the two reads is then young on the source, and said to be.
    theirs = stack.enter_context(open_index(settings)).by_keys(keys)
    mine = stack.enter_context(Source(settings.source)).by_keys(keys)
    scope.current().require_tasks((row.key, row.organization) for row in (*mine.values(), *theirs.values()))
    return _judge(settings, keys, mine, theirs, more=more)


def _judge(
    settings: Estate, keys: Sequence[Key], mine: Mapping[Key, Row], theirs: Mapping[Key, Row], *, more: bool = False
) -> Preview:
    return compare(
        keys,
        mine,
        theirs,
        names=settings.source.tasks.compare,
        now=datetime.now(UTC),
        settle=timedelta(seconds=settings.check.settle_time),
        more=more,
    )


def sync_previewed(lines: str, actor: audit.Actor, reason: str) -> Job:
    """One job in mode `sync` for the tasks of a preview.

    Raises what `sync_tasks` raises, and UsageError where a job for exactly these tasks is active: a button pressed
    twice publishes once.
    """
    keys = require_keys(lines, task_rules(estate.current().source))
    same = Job.objects.active().filter(kind=JobKind.TASKS, task_ids=[str(key) for key in keys]).first()
    if same is not None:
        raise UsageError(f"Job {same.pk}, {same.status.label.lower()}, has exactly these tasks already.")
    return sync_tasks(lines.splitlines(), Mode.SYNC, actor, reason=reason)
