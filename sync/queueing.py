"""Handing durable jobs to the queue. Redis only carries numbers: a job lost there is put back by the clock."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import django_rq
from django.conf import settings
from django.db import transaction
from redis.exceptions import RedisError
from rq.job import Job as RqJob
from rq.queue import EnqueueData, Queue

from opsconsole.errors import UnavailableError
from sync.models import Job, JobKind

logger = logging.getLogger(__name__)

JOB_FUNCTION = "sync.jobs.run_job"
RESULT_TTL = 60
FAILURE_TTL = 86_400
BATCH_OF_PUSHES = 1_000

QUEUE_OF_KIND = {JobKind.TASKS: "high", JobKind.ORGANIZATION: "default", JobKind.WINDOW: "default"}


def rq_id(job_id: int) -> str:
    """The id of a job in RQ: fixed, so that a job pushed twice is one entry there, and easy to find in worker logs."""
    return f"sync-job-{job_id}"


def job_id_of(rq_job_id: str) -> int | None:
    """The durable job's number in an RQ id; None for an id that is not ours."""
    number = rq_job_id.removeprefix("sync-job-")
    return int(number) if number != rq_job_id and number.isdigit() else None


def require_reachable() -> None:
    """Raise UnavailableError where Redis does not answer, before anything is queued that would only wait."""
    try:
        _queue("default").connection.ping()
    except RedisError as error:
        raise UnavailableError(f"Redis cannot be reached, so nothing was queued: {error}.") from error


def enqueue_after_commit(jobs: Sequence[Job]) -> None:
    """Push the jobs once the present transaction has committed.

    Redis being away at that moment is no failure of the act: the rows are there, and the clock pushes them later.
    """
    numbers = [(job.pk, JobKind(job.kind)) for job in jobs]

    def push() -> None:
        try:
            push_now(numbers)
        except RedisError as error:
            logger.warning("redis did not take %d jobs; the clock will queue them: %s", len(numbers), error)

    transaction.on_commit(push)


def push_now(jobs: Sequence[tuple[int, JobKind]]) -> None:
    """Push jobs, given as (number, kind), in pipelined round trips of a thousand. Raises RedisError."""
    for kind, queue_name in QUEUE_OF_KIND.items():
        queue = _queue(queue_name)
        numbers = [number for number, its_kind in jobs if its_kind == kind]
        for begin in range(0, len(numbers), BATCH_OF_PUSHES):
            queue.enqueue_many([_message(number) for number in numbers[begin : begin + BATCH_OF_PUSHES]])


def _message(number: int) -> EnqueueData:
    return Queue.prepare_data(
        JOB_FUNCTION, args=(number,), job_id=rq_id(number), timeout=-1, result_ttl=RESULT_TTL, failure_ttl=FAILURE_TTL
    )


def forget(job_ids: Sequence[int]) -> None:
    """Take the messages of jobs that were run without them out of the queue. A message that stays does no harm."""
    if not job_ids:
        return
    queue = _queue("default")
    try:
        with queue.connection.pipeline() as pipeline:
            for rq_job_id in map(rq_id, job_ids):
                pipeline.lrem(queue.key, 1, rq_job_id)
                pipeline.delete(RqJob.key_for(rq_job_id))
            pipeline.execute()
    except RedisError as error:
        logger.warning("messages of %d jobs stay in the queue: %s", len(job_ids), error)


def waiting_or_started() -> set[int]:
    """Numbers of all jobs that RQ knows to wait, or to be between queue and worker, or under way. Raises RedisError."""
    known: set[int] = set()
    for name in settings.QUEUES:
        queue = _queue(name)
        rq_ids = [
            *queue.get_job_ids(),
            *queue.intermediate_queue.get_job_ids(),
            *queue.started_job_registry.get_job_ids(cleanup=False),
        ]
        known |= {number for number in map(job_id_of, rq_ids) if number is not None}
    return known


def _queue(name: str) -> Queue:
    return django_rq.get_queue(name)
