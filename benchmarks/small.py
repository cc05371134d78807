"""2,000 organizations of 50 tasks, as one batch of mode report, by one worker process.

The bound reads the same rows of both sides in order, one organization after the other, over two open connections.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from statistics import median
from time import perf_counter, sleep

import psycopg
from django.db import transaction
from django.db.models import Count, Sum

from benchmarks.companies import SMALL, main_company
from benchmarks.measurement import Goal, Measurement, seconds
from benchmarks.queueing import empty, stage_organizations
from benchmarks.stage import COMPARED, Company, Stage
from opsconsole import audit
from sync.models import JobState
from sync.operations.batches import BatchOptions, start_options

COMMAND = 'make bench ARGS="small"'
DRIFT_EACH = 20
PATIENCE = 600.0
POLL = 0.05
ROWS = f"SELECT id, {', '.join(COMPARED)} FROM tasks WHERE organization_id = %s ORDER BY id"  # noqa: S608
ONE_TASK_EACH = """UPDATE tasks SET version = version + %s WHERE id IN (
    SELECT DISTINCT ON (organization_id) id FROM tasks WHERE organization_id = ANY(%s) ORDER BY organization_id, id)"""


def measure(stage: Stage) -> Iterator[Measurement]:
    company = main_company(stage)
    stage.use(company, settle_time="2s")
    numbers = company.layout.numbers(SMALL)
    some = range(numbers.start, numbers.stop, DRIFT_EACH)
    bound = len(numbers) / median(seconds(partial(_read_bare, company, numbers)) for _ in range(stage.repeats))
    with stage.worker():
        for drifted, how in ((range(0), "in sync"), (some, f"1 in {DRIFT_EACH} out of sync")):
            _change(company, drifted, 1)
            repeats = stage.few_repeats if drifted else stage.repeats
            found = median(rate(company, numbers, len(drifted)) for _ in range(repeats))
            _change(company, drifted, -1)
            goal = Goal(100, "/s", at_most=False)
            name = f"{len(numbers):,} organizations of 50 tasks, {how}, one worker"
            yield Measurement(name, found, bound, goal, COMMAND, "/s", other_figure=found)
    empty()


def rate(company: Company, numbers: range, drift: int) -> float:
    """Organizations a second, from the commit that queues them to the last one's end."""
    stage_organizations(company, numbers)
    with transaction.atomic():
        batch = start_options(BatchOptions(size=len(numbers)), audit.actor_of_command(), str(len(numbers)))
        begin = perf_counter()
    while batch.jobs.filter(state__in=(JobState.QUEUED, JobState.RUNNING)).exists():
        if perf_counter() - begin > PATIENCE:
            raise TimeoutError(f"batch {batch.pk} has not ended within {PATIENCE:g} s")
        sleep(POLL)
    took = perf_counter() - begin
    found = batch.jobs.filter(state=JobState.DONE).aggregate(jobs=Count("pk"), stale=Sum("stale"))
    if (found["jobs"], found["stale"]) != (len(numbers), drift):
        raise RuntimeError(f"{found['jobs']} of {len(numbers)} are done, {found['stale']} of {drift} found")
    return len(numbers) / took


def _change(company: Company, numbers: range, by: int) -> None:
    """One task of each of these organizations has another version in the index."""
    ids = [company.layout.organization(number) for number in numbers]
    with psycopg.connect(company.index_owner_url, autocommit=True) as index:
        index.execute(ONE_TASK_EACH, (by, ids))
        index.execute("VACUUM ANALYZE tasks")


def _read_bare(company: Company, numbers: range) -> None:
    with psycopg.connect(company.source_url) as source, psycopg.connect(company.index_url) as index:
        for number in numbers:
            for side in (source, index):
                side.execute(ROWS.encode(), (company.layout.organization(number),), binary=True).fetchall()
