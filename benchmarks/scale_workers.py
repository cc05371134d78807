"""More workers, and more work for one: organizations a second by 1, 2 and 4 of them; memory after 1,000 jobs.

On a machine with two cores four workers share what two have, and both share it with the servers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from django.db import transaction

from benchmarks.companies import SMALL, main_company
from benchmarks.measurement import Goal, Measurement
from benchmarks.queueing import empty, stage_organizations
from benchmarks.small import rate
from benchmarks.stage import Company, Stage, wait_for
from opsconsole import audit
from sync.models import Attempt, Batch, JobState
from sync.operations.batches import BatchOptions, start_options

COMMAND = 'make bench ARGS="scale"'
WORKERS = (1, 2, 4)
FEW, MANY, QUICK_MANY = 10, 1_000, 200
MIB = 1024 * 1024
PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")
PATIENCE = 600.0


def measure(stage: Stage) -> Iterator[Measurement]:
    company = main_company(stage)
    stage.use(company, settle_time="2s")
    yield from _throughput(stage, company)
    yield from _rolling_memory(stage, company)
    empty()


def _throughput(stage: Stage, company: Company) -> Iterator[Measurement]:
    numbers = company.layout.numbers(SMALL)
    alone = 0.0
    for workers in WORKERS:
        with ExitStack() as stack:
            for number in range(workers):
                stack.enter_context(stage.worker(f"worker-{number}"))
            found = median(rate(company, numbers, 0) for _ in range(stage.repeats))
        alone = alone or found
        name = f"{len(numbers):,} organizations of 50 tasks, {workers} worker{'s' * (workers > 1)}, against 1"
        yield Measurement(name, found, alone, None, COMMAND, "/s")


def _rolling_memory(stage: Stage, company: Company) -> Iterator[Measurement]:
    """Of the worker's process itself, and of its children, which run the jobs, as their attempts recorded it."""
    many = QUICK_MANY if stage.quick else MANY
    first = company.layout.numbers(SMALL).start
    with stage.worker() as worker:
        _check(company, range(first, first + FEW))
        early, early_children = _memory(worker.pid), _peak_of_children()
        done = FEW
        while done < many:  # from the start again: there are only so many organizations
            number = min(many - done, len(company.layout.numbers(SMALL)))
            _check(company, range(first, first + number))
            done += number
        late, late_children = _memory(worker.pid), _peak_of_children()
    name = f"memory of a worker after {many:,} jobs, after {FEW}"
    yield Measurement(name, late, early, Goal(1.05), COMMAND, "MiB")
    name = f"peak memory of its children, last of {many:,} jobs, first {FEW}"
    yield Measurement(name, late_children, early_children, Goal(1.1), COMMAND, "MiB")


def _check(company: Company, numbers: range) -> None:
    stage_organizations(company, numbers)
    with transaction.atomic():
        batch = start_options(BatchOptions(size=len(numbers)), audit.actor_of_command(), str(len(numbers)))
    wait_for(lambda: _ended(batch), f"{len(numbers)} jobs end", PATIENCE)
    done = batch.jobs.filter(state=JobState.DONE).count()
    if done != len(numbers):
        raise RuntimeError(f"{done} of {len(numbers)} jobs are done")


def _ended(batch: Batch) -> bool:
    return not batch.jobs.filter(state__in=(JobState.QUEUED, JobState.RUNNING)).exists()


def _memory(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_SIZE / MIB


def _peak_of_children() -> float:
    """The median of the newest ten attempts."""
    newest = Attempt.objects.filter(peak_memory__gt=0).order_by("-pk")[:FEW]
    return median(attempt.peak_memory or 0 for attempt in newest) / MIB
