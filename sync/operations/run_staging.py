"""Staging what a query found."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from django.db import connection, transaction
from django.db.models import QuerySet

from opsconsole import audit, scope
from opsconsole.errors import UsageError
from sync.models import AffectedRow, Job, QueryRun, SkippedOrganization, StagedOrganization
from sync.models.states import ORGANIZATION_KINDS
from sync.operations.query_runs import ended_with_rows
from sync.operations.staging import StageResult

ROWS_PER_STATEMENT = 5_000

INSERT = f"""
    INSERT INTO {StagedOrganization._meta.db_table} (organization_id, name, staged_by, origin, query_run_id)
    SELECT organization_id, name, %s, %s, run_id FROM {AffectedRow._meta.db_table}
    WHERE run_id = %s AND organization_id = ANY(%s) AND NOT organization_id = ANY(%s)
    ORDER BY organization_id  -- two people staging the same at once meet in one order, and do not deadlock
    ON CONFLICT DO NOTHING
"""  # noqa: S608  (the names are the models' own)


def stage_run(
    run: QueryRun, actor: audit.Actor, only: Collection[str] | None = None, *, include_skipped: bool = False
) -> StageResult:
    """Stage what `run` found, all of it or the organizations whose ids are in `only`; none is ever staged twice.

    Left out, and named in the result: organizations with an active job, and those on the skip list unless
    `include_skipped`. One transaction of statements of 5,000 rows. Raises UsageError where the run is not over, its
    rows are gone, or nothing of it was chosen.
    """
    ended_with_rows(run)
    scope.current().require_organizations(only or ())
    rows = AffectedRow.objects.filter(run=run)
    if only is not None:
        rows = rows.filter(organization_id__in=only)
    total = StageResult(0, 0, (), ())
    with transaction.atomic():
        for ids in _slices(rows):
            total = _sum(total, _stage_some(run, ids, actor, include_skipped=include_skipped))
        if total == StageResult(0, 0, (), ()):
            raise UsageError("None of the chosen organizations is in this result, so nothing was staged.")
        audit.record(
            actor,
            "organizations.staged",
            "staged",
            staged=total.staged,
            already=total.already,
            query_run=run.pk,
            include_skipped=include_skipped,
        )
    return total


def _slices(rows: QuerySet[AffectedRow]) -> Iterator[list[str]]:
    """The ids in pieces, by keyset: a piece costs the same wherever it lies."""
    after = ""
    while True:
        further = rows.filter(organization_id__gt=after) if after else rows
        ids = list(further.order_by("organization_id").values_list("organization_id", flat=True)[:ROWS_PER_STATEMENT])
        if not ids:
            return
        yield ids
        after = ids[-1]


def _stage_some(run: QueryRun, ids: list[str], actor: audit.Actor, *, include_skipped: bool) -> StageResult:
    # By range, not by a list of thousands: parsing that would be most of the time.
    between, chosen = {"organization_id__gte": ids[0], "organization_id__lte": ids[-1]}, set(ids)
    working = Job.objects.active().filter(kind__in=ORGANIZATION_KINDS, **between)
    active = chosen.intersection(working.values_list("organization_id", flat=True))
    held = SkippedOrganization.objects.open().filter(**between).values_list("organization_id", flat=True)
    skipped = set() if include_skipped else chosen.intersection(held) - active
    left_out = active | skipped
    with connection.cursor() as cursor:
        cursor.execute(INSERT, [actor.name, f"query run {run.pk}", run.pk, ids, sorted(left_out)])
        staged = cursor.rowcount
    return StageResult(staged, len(ids) - len(left_out) - staged, tuple(sorted(active)), tuple(sorted(skipped)))


def _sum(one: StageResult, other: StageResult) -> StageResult:
    return StageResult(
        one.staged + other.staged,
        one.already + other.already,
        one.active + other.active,
        one.skipped + other.skipped,
    )
