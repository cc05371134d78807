"""Whose numbers RQ carries: each app says how its rows are found from RQ's ids, and how they are pushed again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from sync import queueing
from sync.models import Job, JobKind, JobState
from sync.models.states import HELD_STATES
from sync.reconcile import QUEUE_GRACE
from sync.registries.values import MOST_READ, Row, Standing


@dataclass(frozen=True, slots=True)
class Carrier:
    """`number_of` gives the row's number in an RQ id, or None for an id of somebody else.

    `rows` reads the rows of these numbers, and beside them, at most a thousand each, those that RQ should have because
    they are queued or at work: keyed by number. `push` hands rows to RQ again; it raises RedisError.
    """

    name: str
    number_of: Callable[[str], int | None]
    rows: Callable[[Collection[int]], Mapping[int, Row]]
    push: Callable[[Sequence[int]], None]


_carriers: dict[str, Carrier] = {}


def register(carrier: Carrier) -> None:
    _carriers[carrier.name] = carrier


def key_of(rq_id: str) -> str | None:
    """`job:12`: which row an RQ id stands for; None where the id is nobody's."""
    for carrier in _carriers.values():
        if (number := carrier.number_of(rq_id)) is not None:
            return f"{carrier.name}:{number}"
    return None


def rows_for(rq_ids: Collection[str]) -> dict[str, Row]:
    """The rows of these ids, and those that RQ should have, by key. Three queries for each carrier at most."""
    found: dict[str, Row] = {}
    for carrier in _carriers.values():
        numbers = {number for number in map(carrier.number_of, rq_ids) if number is not None}
        found |= {row.key: row for row in carrier.rows(numbers).values()}
    return found


def push(rows: Sequence[Row]) -> None:
    """Hand these rows to RQ again. Raises RedisError."""
    for carrier in _carriers.values():
        numbers = [int(row.key.partition(":")[2]) for row in rows if row.key.startswith(f"{carrier.name}:")]
        if numbers:
            carrier.push(numbers)


def _job_number(rq_id: str) -> int | None:
    """Of a job's own message, and of one that asks to help with it."""
    helped = rq_id.removeprefix("sync-help-").partition("-")[0] if rq_id.startswith("sync-help-") else ""
    number = int(helped) if helped.isdecimal() else queueing.job_id_of(rq_id)
    return number if number is not None and number < 2**63 else None


def _job_rows(numbers: Collection[int]) -> dict[int, Row]:
    jobs = Job.objects.only("state", "worker", "enqueued_at", "organization_id", "organization_name")
    queued = Q(state=JobState.QUEUED, enqueued_at__lt=timezone.now() - QUEUE_GRACE)
    wanted = (Q(pk__in=numbers), queued, Q(state__in=HELD_STATES))
    bounds = (None, MOST_READ, MOST_READ)
    return {
        job.pk: _row(job)
        for one, most in zip(wanted, bounds, strict=True)
        for job in jobs.filter(one).order_by("pk")[:most]
    }


def _row(job: Job) -> Row:
    standing = Standing.ENDED if job.status.terminal else Standing.WAITING
    return Row(
        key=f"job:{job.pk}",
        what=f"Job {job.pk}",
        state=job.status.label,
        standing=Standing.AT_WORK if job.state in HELD_STATES else standing,
        worker=job.worker if job.state in HELD_STATES else "",
        address=reverse("sync:job", args=[job.pk]),
        should_wait=job.state == JobState.QUEUED and job.enqueued_at < timezone.now() - QUEUE_GRACE,
    )


def _push_jobs(numbers: Sequence[int]) -> None:
    """Those that are still queued."""
    queued = Job.objects.filter(pk__in=numbers, state=JobState.QUEUED).order_by("pk").values_list("pk", "kind")
    queueing.push_now([(number, JobKind(kind)) for number, kind in queued])


JOBS = Carrier("job", _job_number, _job_rows, _push_jobs)
