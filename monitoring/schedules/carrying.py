"""Handing runs to the queue. Redis only carries numbers: what is lost there is put back by the clock."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import django_rq
from django.db import transaction
from redis.exceptions import RedisError
from rq.queue import EnqueueData, Queue

from monitoring.schedules.actions import may_wait
from monitoring.schedules.models import Run

logger = logging.getLogger(__name__)

RUN_FUNCTION = "monitoring.schedules.jobs.run_scheduled"
DEFAULT, LOW = "default", "low"
QUEUES = (DEFAULT, LOW)
PREFIX = "scheduled-run-"
RESULT_TTL = 60
FAILURE_TTL = 86_400


def rq_id(run_id: int) -> str:
    """The id of a run in RQ: fixed, so that a run pushed twice is one entry there."""
    return f"{PREFIX}{run_id}"


def run_id_of(rq_job_id: str) -> int | None:
    number = rq_job_id.removeprefix(PREFIX)
    return int(number) if number != rq_job_id and number.isdigit() else None


@dataclass(frozen=True, slots=True)
class Message:
    """What the queue carries of a run. `limit` is its time limit in whole seconds."""

    number: int
    limit: int
    queue: str = DEFAULT


def queue_of(run: Run) -> str:
    return LOW if may_wait(run.scheduled_job) else DEFAULT


def message_of(run: Run) -> Message:
    limit = max(1, round(run.scheduled_job.time_limit.total_seconds()))
    return Message(run.pk, limit, queue_of(run))


def enqueue_after_commit(runs: Sequence[Run]) -> None:
    """Push the runs once the present transaction has committed. Redis being away is no failure: the clock does it
    later."""
    messages = [message_of(run) for run in runs]

    def push() -> None:
        try:
            push_now(messages)
        except RedisError as error:
            logger.warning("redis did not take %d runs; the clock will queue them: %s", len(messages), error)

    if messages:
        transaction.on_commit(push)


def push_now(messages: Sequence[Message]) -> None:
    """Push runs, in one round trip for each queue. Raises RedisError."""
    for name in QUEUES:
        if mine := [one for one in messages if one.queue == name]:
            django_rq.get_queue(name).enqueue_many([_prepared(one) for one in mine])


def _prepared(message: Message) -> EnqueueData:
    return Queue.prepare_data(
        RUN_FUNCTION,
        args=(message.number,),
        job_id=rq_id(message.number),
        timeout=message.limit,  # RQ then raises JobTimeoutException inside the run
        result_ttl=RESULT_TTL,
        failure_ttl=FAILURE_TTL,
    )


def waiting() -> set[int]:
    """Numbers of the runs whose message waits in RQ. Raises RedisError.

    Not those that RQ says a worker has taken: it says so for more than a minute after that worker has died.
    """
    rq_ids = chain.from_iterable(django_rq.get_queue(name).get_job_ids() for name in QUEUES)
    return {number for number in map(run_id_of, rq_ids) if number is not None}
