"""Handing runs to the queue. Redis only carries numbers: what is lost there is put back by the clock."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import django_rq
from django.db import transaction
from redis.exceptions import RedisError
from rq.queue import Queue

from monitoring.schedules.models import Run

logger = logging.getLogger(__name__)

RUN_FUNCTION = "monitoring.schedules.jobs.run_scheduled"
QUEUE = "default"
PREFIX = "scheduled-run-"
RESULT_TTL = 60
FAILURE_TTL = 86_400


def rq_id(run_id: int) -> str:
    """The id of a run in RQ: fixed, so that a run pushed twice is one entry there."""
    return f"{PREFIX}{run_id}"


def run_id_of(rq_job_id: str) -> int | None:
    number = rq_job_id.removeprefix(PREFIX)
    return int(number) if number != rq_job_id and number.isdigit() else None


def limit_of(run: Run) -> int:
    """The run's time limit in whole seconds, at least one."""
    return max(1, round(run.scheduled_job.time_limit.total_seconds()))


def enqueue_after_commit(runs: Sequence[Run]) -> None:
    """Push the runs once the present transaction has committed. Redis being away is no failure: the clock does it
    later."""
    numbers = [(run.pk, limit_of(run)) for run in runs]

    def push() -> None:
        try:
            push_now(numbers)
        except RedisError as error:
            logger.warning("redis did not take %d runs; the clock will queue them: %s", len(numbers), error)

    if numbers:
        transaction.on_commit(push)


def push_now(runs: Sequence[tuple[int, int]]) -> None:
    """Push runs, given as (number, time limit in seconds), in one round trip. Raises RedisError."""
    queue = django_rq.get_queue(QUEUE)
    queue.enqueue_many(
        [
            Queue.prepare_data(
                RUN_FUNCTION,
                args=(number,),
                job_id=rq_id(number),
                timeout=limit,  # RQ then raises JobTimeoutException inside the run
                result_ttl=RESULT_TTL,
                failure_ttl=FAILURE_TTL,
            )
            for number, limit in runs
        ]
    )
