"""The workers there are: what RQ has of each, what each said itself, and what that means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import django_rq
from django.db.models import TextChoices
from redis.exceptions import RedisError
from rq.utils import as_text, utcparse
from rq.worker_registration import REDIS_WORKER_KEYS

from monitoring.pipeline.hosts import Seen
from monitoring.pipeline.models import WorkerBeat
from monitoring.pipeline.progress import RunningJob, by_worker
from opsconsole.errors import UnavailableError
from opsconsole.tones import Tone

LATE_SECONDS = 15.0
"""Three signs missed."""

PREFIX = "rq:worker:"


class WorkerState(TextChoices):
    IDLE = "idle", "Waiting"
    BUSY = "busy", "Working"
    LONG = "long", "Job runs too long"
    LATE = "late", "No sign of life"
    STOPPED = "stopped", "Process is stopped"
    GONE = "gone", "Process is gone"
    UNREGISTERED = "unregistered", "Not registered"

    @property
    def tone(self) -> Tone:
        return _TONES[self]


_TONES = {
    WorkerState.IDLE: Tone.FINE,
    WorkerState.BUSY: Tone.WORKING,
    WorkerState.LONG: Tone.PROBLEM,
    WorkerState.LATE: Tone.PROBLEM,
    WorkerState.STOPPED: Tone.PROBLEM,
    WorkerState.GONE: Tone.PROBLEM,
    WorkerState.UNREGISTERED: Tone.WAITING,
}

WORKING_STATES = (WorkerState.IDLE, WorkerState.BUSY, WorkerState.LONG, WorkerState.UNREGISTERED)
"""States in which a worker takes messages, or will when its job is done."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A worker as RQ has it in Redis."""

    name: str
    host: str
    pid: int | None
    state: str
    queues: tuple[str, ...]
    heartbeat: datetime | None
    done: int
    failed: int
    rq_job: str


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """One worker for people. `last_sign` is the later one of both; `jobs` are what it works on."""

    name: str
    host: str
    pid: int | None
    queues: tuple[str, ...]
    state: WorkerState
    last_sign: datetime | None
    started_at: datetime | None
    memory: int | None
    done: int | None
    failed: int | None
    jobs: tuple[RunningJob, ...]
    rq_job: str

    @property
    def can_hear(self) -> bool:
        return self.state is not WorkerState.GONE


def read_registered() -> list[Registered]:
    """The workers that RQ knows. Two round trips. Raises UnavailableError.

    Not by RQ's own `Worker.all`, which takes the queues of settings for granted and asks for each worker alone.
    """
    try:
        connection = django_rq.get_connection("default")
        keys = sorted(as_text(key) for key in connection.smembers(REDIS_WORKER_KEYS))
        with connection.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.hgetall(key)
            found = pipeline.execute()
    except RedisError as error:
        raise UnavailableError(f"Redis cannot be reached: {error}.") from error
    return [_registered(key, values) for key, values in zip(keys, found, strict=True) if values]


def _registered(key: str, values: dict[bytes, bytes]) -> Registered:
    texts = {name.decode(): value.decode(errors="replace") for name, value in values.items()}
    return Registered(
        name=key.removeprefix(PREFIX),
        host=texts.get("hostname", ""),
        pid=int(texts["pid"]) if texts.get("pid", "").isdigit() else None,
        state=texts.get("state", "?"),
        queues=tuple(filter(None, texts.get("queues", "").split(","))),
        heartbeat=_moment(texts.get("last_heartbeat")),
        done=int(texts.get("successful_job_count", 0)),
        failed=int(texts.get("failed_job_count", 0)),
        rq_job=texts.get("current_job", ""),
    )


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    moment = utcparse(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def state_of(
    registered: Registered | None,
    beat: WorkerBeat | None,
    jobs: Sequence[RunningJob],
    job_times: dict[str, float],
    now: datetime,
    *,
    registry_known: bool = True,
) -> WorkerState:
    """What a worker is doing. `job_times` are the limits of each queue's jobs, in seconds. Pure.

    What its machine says of the process counts before what is only silent: a stopped process and one behind a slow
    network look alike from here.
    """
    if beat and beat.seen == Seen.GONE:
        return WorkerState.GONE
    if beat and beat.seen == Seen.STOPPED:
        return WorkerState.STOPPED
    sign = last_sign(registered, beat)
    if sign is None or (now - sign).total_seconds() > LATE_SECONDS:
        return WorkerState.LATE
    if any(job.running > job_times.get(job.queue, float("inf")) for job in jobs):
        return WorkerState.LONG
    if registered is None and registry_known:
        return WorkerState.UNREGISTERED
    return WorkerState.BUSY if jobs or (registered and registered.state == "busy") else WorkerState.IDLE


def last_sign(registered: Registered | None, beat: WorkerBeat | None) -> datetime | None:
    signs = [sign for sign in (registered and registered.heartbeat, beat and beat.beat_at) if sign]
    return max(signs, default=None)


def worker_rows(
    registered: Sequence[Registered] | None,
    beats: Sequence[WorkerBeat],
    jobs: Sequence[RunningJob],
    job_times: dict[str, float],
    now: datetime,
) -> list[WorkerRow]:
    """All workers that either side knows, those in trouble first. `registered` is None where Redis did not answer."""
    known, signs, work = {one.name: one for one in registered or ()}, {one.name: one for one in beats}, by_worker(jobs)
    rows = []
    for name in sorted({*known, *signs}):
        rq, beat, mine = known.get(name), signs.get(name), tuple(work.get(name, ()))
        state = state_of(rq, beat, mine, job_times, now, registry_known=registered is not None)
        rows.append(
            WorkerRow(
                name=name,
                host=beat.host if beat else (rq.host if rq else ""),
                pid=beat.pid if beat else (rq.pid if rq else None),
                queues=tuple(beat.queues) if beat else (rq.queues if rq else ()),
                state=state,
                last_sign=last_sign(rq, beat),
                started_at=beat.started_at if beat else None,
                memory=beat.memory if beat else None,
                done=rq.done if rq else None,
                failed=rq.failed if rq else None,
                jobs=mine,
                rq_job=rq.rq_job if rq and not mine else "",
            )
        )
    order = [Tone.PROBLEM, Tone.WAITING, Tone.WORKING, Tone.FINE]
    return sorted(rows, key=lambda row: (order.index(row.state.tone), row.name))


def live_workers() -> list[WorkerBeat]:
    return list(WorkerBeat.objects.order_by("name")[:1_000])


def living_workers(queue: str, now: datetime) -> int:
    """How many workers serve the queue, by their own signs and what their machines say. One query."""
    alive = WorkerBeat.objects.filter(beat_at__gt=now - timedelta(seconds=LATE_SECONDS), seen="")
    return alive.filter(queues__contains=[queue]).count()
