"""Where a large organization is cut into ranges of keys, so that several workers can walk it side by side.

Wrong cuts cost balance and never correctness: together the ranges cover every key there can be, so cheap ones will do.
They are quantiles of a sample of the organization's keys, from at most `SAMPLE_PAGES` pages of the table whatever its
size. Where there is too little of the organization in the sample, or no table to sample (a view), the keys between its
first and its last are cut evenly: good for random UUIDs, fair for keys that rise with time. The statistics that
PostgreSQL keeps are of no use here, since they are of all organizations together, and exact quantiles would read the
organization's whole index first.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from uuid import UUID

from psycopg import sql

from opsconsole.errors import OutsideDataError
from opsconsole.estate.model import Check as Limits
from opsconsole.keys import Key, restore_key
from opsconsole.postgres import table_identifier
from opsconsole.words import counted
from sync.ledger import Ledger
from sync.models import Job, JobKind, JobRange
from sync.session import Session
from sync.taskrows import TaskRows

PAGE_BYTES = 8192
SAMPLE_PAGES = 2_000
LEAST_SAMPLED = 20
"""Keys in the sample for each range; with fewer, chance decides where the cuts are."""


def ensure_ranges(job: Job, ledger: Ledger, session: Session, expected: int) -> int:
    """How many ranges the job has: those of an earlier attempt, or new ones where it is large and nothing of it is
    walked yet; 0 where it is walked in one."""
    if job.fence > 1 and (found := job.ranges.count()):  # the first attempt cannot have any
        ledger.note(f"Going on with {job.ranges.unfinished().count()} of {counted(found, 'range')}.")
        return found
    if not _worth_splitting(job, session.settings.check, expected):
        return 0
    packed = session.packed
    if isinstance(packed, str):
        return 0
    organization = restore_key(session.names.organization_key, job.organization_id)
    cuts, how = find_cuts(packed.source, organization, session.settings.check.split_ranges)
    if not cuts:
        return 0
    with ledger.held() as held:
        JobRange.objects.bulk_create(ranges_between(held, cuts))
    ledger.note(f"Split into {len(cuts) + 1} ranges of keys, {how}.")
    return len(cuts) + 1


def _worth_splitting(job: Job, limits: Limits, expected: int) -> bool:
    whole = job.kind == JobKind.ORGANIZATION and job.checkpoint is None
    return whole and 0 < limits.split_tasks < expected and limits.split_ranges > 1


def ranges_between(job: Job, cuts: Sequence[Key]) -> list[JobRange]:
    """Ranges that cover every key, cut behind each of `cuts` (strictly rising)."""
    ends = [None, *map(str, cuts), None]
    return [
        JobRange(job=job, number=number, lower=lower, upper=upper)
        for number, (lower, upper) in enumerate(pairwise(ends), start=1)
    ]


def find_cuts(tasks: TaskRows, organization: Key, ranges: int) -> tuple[list[Key], str]:
    """Up to `ranges` - 1 keys, strictly rising, and how they were found. Two or four short queries."""
    with suppress(OutsideDataError):  # a kind of table that cannot be sampled
        if cuts := _sampled_cuts(tasks, organization, ranges):
            return cuts, "cut at quantiles of a sample"
    return _even_cuts(tasks, organization, ranges), "cut evenly between the first key and the last"


def _sampled_cuts(tasks: TaskRows, organization: Key, ranges: int) -> list[Key]:
    """Nothing where the sample has too few of the organization's keys."""
    table = table_identifier(tasks.shape.table)
    of_all = sql.SQL(  # a view has no size, nor has what only stands for its partitions
        "SELECT pg_relation_size({name}::regclass)"
        " + COALESCE((SELECT sum(pg_relation_size(relid)) FROM pg_partition_tree({name}::regclass)), 0)"
    )
    (size,) = tasks.database.row(of_all.format(name=sql.Literal(table.as_string())))
    if not size:
        return []
    task, owner = tasks.keys
    query = sql.SQL(
        "SELECT count(*), percentile_disc(%(quantiles)s::float8[]) WITHIN GROUP (ORDER BY {key})"
        " FROM {table} TABLESAMPLE SYSTEM (%(percent)s) WHERE {owner} = %(organization)s AND {condition}"
    ).format(key=task.order, table=table, owner=owner.match, condition=tasks.condition)
    values = {
        "quantiles": [number / ranges for number in range(1, ranges)],
        "percent": min(100.0, 100.0 * SAMPLE_PAGES * PAGE_BYTES / int(size)),
        "organization": owner.dump(organization),
    }
    sampled, cuts = tasks.database.row(query, values)
    return sorted({task.load(cut) for cut in cuts}) if sampled >= LEAST_SAMPLED * ranges else []


def _even_cuts(tasks: TaskRows, organization: Key, ranges: int) -> list[Key]:
    task, owner = tasks.keys
    rows = sql.SQL("SELECT {} FROM {} WHERE {} = %(organization)s AND {} ORDER BY {}").format(
        task.match, table_identifier(tasks.shape.table), owner.match, tasks.condition, task.order
    )
    values: dict[str, object] = {"organization": owner.dump(organization)}
    ends = [tasks.database.rows(sql.SQL("{} {} LIMIT 1").format(rows, order), values) for order in _BOTH_WAYS]
    if not all(ends):
        return []
    first, last = (task.load(found[0][0]) for found in ends)
    return even_cuts(first, last, ranges)


_BOTH_WAYS = (sql.SQL("ASC"), sql.SQL("DESC"))


def even_cuts(first: Key, last: Key, ranges: int) -> list[Key]:
    """Up to `ranges` - 1 keys between two UUIDs or two integers, strictly rising and below `last`."""
    low, high = (key.int if isinstance(key, UUID) else int(key) for key in (first, last))
    cuts = sorted({low + (high - low) * number // ranges for number in range(1, ranges)} - {high})
    return [UUID(int=cut) if isinstance(first, UUID) else cut for cut in cuts]
