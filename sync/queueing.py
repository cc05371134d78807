"""Handing durable jobs to the queue. Redis only carries numbers: a job lost there is put back by the clock."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from itertools import chain

import django_rq
from django.conf import settings
from django.db import transaction
from redis.exceptions import RedisError
from rq.command import PUBSUB_CHANNEL_TEMPLATE
from rq.job import Job as RqJob
from rq.queue import EnqueueData, Queue

from opsconsole.errors import UnavailableError
from opsconsole.pauses import paused_queues
from opsconsole.takes import count_taken
from opsconsole.worker import SIGNAL_CHILD
from sync.models import Job, JobKind

logger = logging.getLogger(__name__)

JOB_FUNCTION = "sync.jobs.run_job"
HELP_FUNCTION = "sync.jobs.help_job"
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
    _drop([rq_id(job_id) for job_id in job_ids])


def _drop(rq_ids: Sequence[str]) -> None:
    if not rq_ids:
        return
    queue = _queue("default")
    try:
        with queue.connection.pipeline() as pipeline:
            for rq_job_id in rq_ids:
                pipeline.lrem(queue.key, 1, rq_job_id)
            waited = [rq_job_id for rq_job_id, removed in zip(rq_ids, pipeline.execute(), strict=True) if removed]
        if waited:  # one that a worker has taken meanwhile is that worker's to tidy away
            queue.connection.delete(*map(RqJob.key_for, waited))
            count_taken(queue.connection, queue.name, len(waited))
    except RedisError as error:
        logger.warning("%d messages stay in the queue: %s", len(rq_ids), error)


def invite(job_id: int, names: Sequence[str]) -> None:
    """Ask workers to help with a job that is split, one message for each name. Lost ones cost time and nothing else:
    whoever leads the job walks what nobody else does."""
    messages = [_invitation(job_id, name) for name in names]
    try:
        _queue("default").enqueue_many(messages)
    except RedisError as error:
        logger.warning("no worker was asked to help with job %s: %s", job_id, error)


def _invitation(job_id: int, name: str) -> EnqueueData:
    return Queue.prepare_data(
        HELP_FUNCTION,
        args=(job_id,),
        job_id=help_id(job_id, name),
        timeout=-1,
        result_ttl=RESULT_TTL,
        failure_ttl=FAILURE_TTL,
    )


def help_id(job_id: int, name: str) -> str:
    return f"sync-help-{job_id}-{name}"


def withdraw(job_id: int, names: Sequence[str]) -> None:
    """Take invitations that no worker has followed out of the queue."""
    _drop([help_id(job_id, name) for name in names])


def is_paused(queue: str) -> bool:
    """Whether nothing may be taken from this queue. Where Redis does not answer nothing is known, and nothing held."""
    try:
        return queue in paused_queues(_queue(queue).connection)
    except RedisError:
        return False


def tell_worker(worker: str, pid: int, number: int) -> int:
    """Ask a worker, on whatever machine, to signal its child `pid`. Returns how many listen: 1, or 0 where it is gone.

    Raises RedisError.
    """
    connection = _queue("default").connection
    command = json.dumps({"command": SIGNAL_CHILD, "pid": pid, "number": int(number)})
    return int(connection.publish(PUBSUB_CHANNEL_TEMPLATE % worker, command))


def waiting() -> set[int]:
    """Numbers of all jobs whose message waits in a queue. Raises RedisError.

    Not those that RQ says a worker has taken: it says so for more than a minute after that worker has died.
    """
    rq_ids = chain.from_iterable(_queue(name).get_job_ids() for name in settings.QUEUES)
    return {number for number in map(job_id_of, rq_ids) if number is not None}


def _queue(name: str) -> Queue:
    return django_rq.get_queue(name)
