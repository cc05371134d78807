"""Queueing a batch of 10,000 staged organizations, and whether the number of statements depends on the number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import median
from typing import Any
from uuid import uuid4

import django_rq
from django.db import OperationalError, connection

from benchmarks.companies import main_company
from benchmarks.measurement import Goal, Measurement, seconds
from benchmarks.stage import Company, Stage
from opsconsole import audit
from sync.models import Mode
from sync.operations import staging
from sync.operations.batches import BatchOptions, start_options

FEW, MANY = 1_000, 10_000
COMMAND = 'make bench ARGS="queueing"'
TRIES = 5


def measure(stage: Stage) -> Iterator[Measurement]:
    company = main_company(stage)
    stage.use(company)
    few, many = stage.scaled(FEW), stage.scaled(MANY)
    took: list[float] = []
    bare: list[float] = []
    statements: dict[int, int] = {}
    for _ in range(stage.repeats):
        for number in (few, many):
            statements[number], spent = _queue(company, number)
        took.append(spent)
        bare.append(seconds(lambda: _queue_bare(many)))
    empty()
    goal = Goal(5, "s")
    name = f"queueing {many:,} organizations"
    yield Measurement(name, median(took), median(bare), goal, COMMAND, other_figure=median(took))
    name = f"statements that queue {many:,} organizations, against {few:,}"
    yield Measurement(name, statements[many], statements[few], Goal(1), COMMAND, "")


def _queue(company: Company, number: int) -> tuple[int, float]:
    """Statements to the console's database, and seconds."""
    stage_organizations(company, range(number))
    counted = [0]

    def count(execute: Callable[..., Any], *statement: Any) -> Any:
        counted[0] += 1
        return execute(*statement)

    with connection.execute_wrapper(count):
        spent = seconds(lambda: start_options(BatchOptions(size=number), audit.actor_of_command(), str(number)))
    return counted[0], spent


def stage_organizations(company: Company, numbers: range) -> None:
    """These organizations of the company, and no others, are staged; no job is left."""
    empty()
    staging.stage([str(company.layout.organization(number)) for number in numbers], audit.actor_of_command())


def empty() -> None:
    for left in reversed(range(TRIES)):
        try:
            with connection.cursor() as cursor:
                cursor.execute("TRUNCATE sync_job, sync_batch, sync_stagedorganization, sync_batchplan CASCADE")
            break
        except OperationalError:  # a deadlock with a worker that is still ending the batch before
            if not left:
                raise
    django_rq.get_queue("default").connection.flushdb()


def _queue_bare(number: int) -> None:
    """One insert of rows like those of jobs, and one pipeline of messages."""
    names = [f"{uuid4()}" for _ in range(number)]
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE bare (LIKE sync_job INCLUDING DEFAULTS INCLUDING INDEXES)")
        cursor.execute(
            "INSERT INTO bare (id, organization_id, organization_name, kind, mode, state, phase, task_ids, trace_id,"
            " created_by, fence, worker, scanned, stale, missing, orphan, unsettled, published, verified, unresolved,"
            " set_aside, failures, stalled_attempts, waits_for, error, error_type, error_fingerprint)"
            " SELECT row_number() OVER (), name, name, 'organization', %s, 'queued', 'walk', '[]', gen_random_uuid(),"
            " 'bare', 0, '', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '', '', '', '' FROM unnest(%s::text[]) name",
            [Mode.REPORT.value, names],
        )
        cursor.execute("DROP TABLE bare")
    with django_rq.get_queue("default").connection.pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.hset(f"bare:{name}", mapping={"data": name, "status": "queued", "origin": "default"})
            pipeline.rpush("bare", name)
        pipeline.execute()
