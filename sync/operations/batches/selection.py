"""Which organizations a batch takes, in which order, and which it leaves out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db import connection
from django.db.models import Count, Exists, F, OuterRef, QuerySet, Sum
from django.db.models.expressions import OrderBy

from opsconsole import estate
from opsconsole.errors import UnavailableError
from opsconsole.keys import restore_key
from opsconsole.times import Window
from opsconsole.words import counted
from sync.models import BatchOrder, BatchRelation, Job, Mode, SkippedOrganization, StagedOrganization
from sync.models.states import ACTIVE_STATES, ORGANIZATION_KINDS
from sync.operations.batches.options import BatchOptions
from sync.operations.estimate import COUNTING_SECONDS, Counted
from sync.source import Source

COUNTED_PER_STATEMENT = 500
"""Organizations per count at the source: each statement has to stay under its timeout."""

NOTHING_COUNTED = Counted(0, 0)

_STORE_COUNTS = (
    "UPDATE sync_stagedorganization s SET task_count = c.tasks"
    " FROM unnest(%s::text[], %s::bigint[]) c(organization, tasks) WHERE s.organization_id = c.organization"
)

_ORDERS: Mapping[BatchOrder, tuple[OrderBy, ...]] = {
    BatchOrder.OLDEST: (),
    BatchOrder.LARGEST: (F("task_count").desc(nulls_last=True),),
    BatchOrder.SMALLEST: (F("task_count").asc(nulls_last=True),),
}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a plan's organizations come from: the staged set or, with `names` (by id, in order), a list of their own.

    `include_skipped` takes those of the list that are on the skip list too. `previous` is a batch's number.
    """

    names: Mapping[str, str] | None = None
    previous: int | None = None
    relation: BatchRelation | None = None
    include_skipped: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """`names` by id, in the order they run. `active` and `skipped` are those of an explicit list that were left out.

    `counted` are those of them whose tasks are known; none with a window, whose tasks are counted apart.
    `reach` is what starting it sets off: with auto-advance all that is ready, else the selection itself;
    `reach_counted` those of it whose tasks are known.
    """

    names: Mapping[str, str]
    counted: Counted
    reach: int
    reach_counted: Counted
    active: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


def ready_organizations(mode: Mode) -> QuerySet[StagedOrganization]:
    """What batches take, oldest first: staged, no active job, and for a report not yet reported.

    One that came on the skip list after it was staged is left out; who stages a skipped one wants it taken.
    """
    active = Job.objects.filter(
        kind__in=ORGANIZATION_KINDS, state__in=ACTIVE_STATES, organization_id=OuterRef("organization_id")
    )
    skipped = SkippedOrganization.objects.open().filter(
        organization_id=OuterRef("organization_id"), skipped_at__gt=OuterRef("staged_at")
    )
    ready = StagedOrganization.objects.exclude(Exists(active)).exclude(Exists(skipped))
    ready = ready.order_by("staged_at", "organization_id")
    return ready.filter(reported_in=None) if mode == Mode.REPORT else ready


def choose(options: BatchOptions, origin: Origin, *, lock: bool = False) -> Selection:
    """What a batch with these options would take now. At most three queries.

    `lock` (inside a transaction) locks the staged rows, and passes over those that another batch is taking right now.
    """
    if origin.names is not None:
        return _choose_of_list(options, origin, origin.names)
    ready = ready_organizations(options.mode)
    rows = ready.order_by(*_ORDERS[options.order], "staged_at", "organization_id").only(
        "organization_id", "name", "task_count"
    )
    if lock:
        rows = rows.select_for_update(of=("self",), skip_locked=True)
    taken = list(rows[: options.size])
    counts = [row.task_count for row in taken if row.task_count is not None and options.window is None]
    counted = Counted(len(counts), sum(counts))
    names = {row.organization_id: row.name for row in taken}
    if not options.auto_advance:
        return Selection(names, counted, len(taken), counted)
    known = ready.order_by().aggregate(
        organizations=Count("organization_id"), counted=Count("task_count"), tasks=Sum("task_count")
    )
    reach = counted if options.window else Counted(known["counted"], known["tasks"] or 0)
    return Selection(names, counted, known["organizations"], reach)


def _choose_of_list(options: BatchOptions, origin: Origin, names: Mapping[str, str]) -> Selection:
    active = Job.objects.active_organizations(list(names))
    skipped: set[str] = set()
    if not origin.include_skipped:
        skipped = SkippedOrganization.objects.open_organizations(list(names)) - active
    free = [organization for organization in names if organization not in active | skipped][: options.size]
    return Selection(
        names={organization: names[organization] for organization in free},
        counted=NOTHING_COUNTED,
        reach=len(free),
        reach_counted=NOTHING_COUNTED,
        active=tuple(sorted(active)),
        skipped=tuple(sorted(skipped)),
    )


def count_staged_tasks(options: BatchOptions) -> None:
    """Fill in the task counts that the order, or the estimate, needs. Asks the source; one UPDATE here.

    An order by size needs all that is ready, the oldest first only what the batch takes. Each organization is counted
    once while it is staged. Raises UnavailableError where the source is away, or an order by size needs more time:
    what is counted stays.
    """
    ready = ready_organizations(options.mode)
    by_size = options.order != BatchOrder.OLDEST
    wanted = ready if by_size else ready[: options.size]
    uncounted = [organization for organization, count in wanted.values_list("pk", "task_count") if count is None]
    if not uncounted:
        return
    counts = count_tasks(uncounted)
    with connection.cursor() as cursor:
        cursor.execute(_STORE_COUNTS, [list(counts), list(counts.values())])
    if by_size and len(counts) < len(uncounted):
        raise UnavailableError(
            f"The source counted the tasks of {len(counts):,} of {counted(len(uncounted), 'organization')} in time, "
            "and an order by size needs them all. Try again: what is counted is kept."
        )


def count_tasks(organizations: Sequence[str], window: Window | None = None) -> dict[str, int]:
    """Tasks (updated in `window`) by organization, as far as the source counts them in COUNTING_SECONDS.

    Raises UnavailableError.
    """
    settings = estate.current().source
    counts: dict[str, int] = {}
    end = time.monotonic() + COUNTING_SECONDS
    with Source(settings) as source:
        source.ping()  # a source that is away is an error; one that is slow gives what it has
        for begin in range(0, len(organizations), COUNTED_PER_STATEMENT):
            part = organizations[begin : begin + COUNTED_PER_STATEMENT]
            keys = [restore_key(settings.organizations.id_type, organization) for organization in part]
            try:
                found = source.task_counts(keys, window)
            except UnavailableError:
                break
            counts |= {text: found[key] for text, key in zip(part, keys, strict=True)}
            if time.monotonic() > end:
                break
    return counts
