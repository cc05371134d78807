"""One organization of 2,000,000 tasks, split into ranges, by two worker processes against one.

Shown, without a goal: with two cores both workers and the servers' four processes that answer them share what one
worker and its two processes had nearly to themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median
from time import perf_counter, sleep
from uuid import UUID, uuid4

from django.db import transaction

from benchmarks.companies import LARGEST, main_company, only_organization
from benchmarks.measurement import WARM_UP, Measurement
from benchmarks.queueing import empty
from benchmarks.stage import Stage
from sync.models import Job, JobState
from sync.queueing import enqueue_after_commit

COMMAND = 'make bench ARGS="ranges"'
SHARES = (0.0, 0.1)
RANGES = 8
PATIENCE = 600.0
POLL = 0.02


def measure(stage: Stage) -> Iterator[Measurement]:
    company = main_company(stage)
    organization = only_organization(company, LARGEST)
    tasks = company.layout.bands[LARGEST].total
    stage.use(company, settle_time="2s", split_tasks=tasks // 4, split_ranges=RANGES)
    for share in SHARES:
        drift = company.spread_drift(organization, share)
        one, two = (_median(stage, workers, organization, drift) for workers in (1, 2))
        name = f"{tasks:,} tasks in {RANGES} ranges, drift {share:.0%}, two workers against one"
        yield Measurement(name, two, one, None, COMMAND)
    empty()


def _median(stage: Stage, workers: int, organization: UUID, drift: int) -> float:
    """Not in turns, as elsewhere: workers that have just started are slower, and starting them takes the longest."""
    with ExitStack() as stack:
        for number in range(workers):
            stack.enter_context(stage.worker(f"worker-{number}"))
        # Where it must be quick, one may be through before another has begun.
        least = 1 if stage.quick else workers
        times = [_seconds(least, organization, drift) for _ in range(WARM_UP + stage.few_repeats)]
    return median(times[WARM_UP:])


def _seconds(least: int, organization: UUID, drift: int) -> float:
    """From the commit that queues the job to its end. Raises RuntimeError where it was walked by fewer workers than
    `least`, or has another result."""
    with transaction.atomic():
        job = Job.objects.create(organization_id=str(organization), trace_id=uuid4(), created_by="benchmarks")
        enqueue_after_commit([job])
    begin = perf_counter()
    while not job.status.terminal and perf_counter() - begin < PATIENCE:
        sleep(POLL)
        job.refresh_from_db(fields=["state"])
    took = perf_counter() - begin
    job.refresh_from_db()
    walkers = job.ranges.values("worker").distinct().count()
    if (job.state, job.drift_found) != (JobState.DONE, drift) or walkers < least:
        raise RuntimeError(f"job {job.pk} is {job.state}: {job.drift_found} of {drift} found by {walkers} workers")
    return took
