"""The clock with 10,000 scheduled jobs and monitors: how late it fires a thousand of them, and what it costs when idle.

A real clock process; its workers are left out, since what is measured is over when a run's message is in the queue.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import django_rq
from django.db import connection

from benchmarks.measurement import Goal, Measurement, seconds
from benchmarks.stage import MANAGE, Stage, wait_for
from opsconsole.demo.processes import Child, Command
from opsconsole.demo.sizes import Band, Layout

if TYPE_CHECKING:
    from redis import Redis

COMMAND = 'make bench ARGS="clock"'
JOBS, MONITORS, TOGETHER = 9_000, 1_000, 1_000
EVERY, EVERY_QUICK = 10, 5
"""Seconds between two times at which the thousand are due together."""
IDLE_SECONDS, IDLE_SECONDS_QUICK = 45, 5
SETTLED_AFTER, SETTLED_AFTER_QUICK = 10, 5
"""Seconds after its start: what a clock does once is over."""
TICKS = os.sysconf("SC_CLK_TCK")


def measure(stage: Stage) -> Iterator[Measurement]:
    stage.use(stage.company("clock", Layout((Band(1, 1_000), Band(10, 50)))))
    jobs, monitors, together = (stage.scaled(number) for number in (JOBS, MONITORS, TOGETHER))
    every = EVERY_QUICK if stage.quick else EVERY
    empty()
    _make_quiet(jobs - together, monitors)
    with _clock(stage) as clock:
        time.sleep(SETTLED_AFTER_QUICK if stage.quick else SETTLED_AFTER)
        idle = cpu_share(clock.pid, IDLE_SECONDS_QUICK if stage.quick else IDLE_SECONDS)
        first = _make_together(together, every)
        late = [_fired_after(first + number * every, together) for number in range(stage.repeats)]
    _require_once_each(together, stage.repeats)
    bare = [seconds(lambda: _fire_bare(together)) for _ in range(stage.repeats)]
    empty()
    name = f"{together:,} of {jobs + monitors:,} due in one second: the last one queued"
    yield Measurement(name, max(late), median(bare), Goal(2, "s"), COMMAND, other_figure=max(late))
    name = f"idle clock with {jobs + monitors:,} jobs and monitors, of a core"
    yield Measurement(name, idle, 1.0, Goal(2, "%"), COMMAND, "s/s", other_figure=idle * 100)


def empty() -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE schedules_scheduledjob, schedules_run, schedules_monitor CASCADE")
    _queue().flushdb()


def _queue() -> Redis:
    client: Redis = django_rq.get_queue("default").connection
    return client


def _make_quiet(jobs: int, monitors: int) -> None:
    """None of these is due while anything is measured: half of the jobs by cron, half by interval."""
    from monitoring.schedules.models import Monitor, ScheduledJob
    from opsconsole.due import next_due

    now = datetime.now(UTC)
    quiet = [
        ScheduledJob(
            name=f"quiet-{number}",
            action="operation",
            operation="check_estate",
            cron="0 0 1 1 *" if number % 2 else "",
            interval=None if number % 2 else timedelta(days=30),
            anchor=now,
            watermark=now,
        )
        for number in range(jobs)
    ]
    for job in quiet:
        job.next_due = next_due(job.schedule, now)
    ScheduledJob.objects.bulk_create(quiet)
    up = {"stored": "up", "period": timedelta(days=1), "last_ping": now, "deadline": now + timedelta(days=1)}
    Monitor.objects.bulk_create(Monitor(name=f"monitor-{number}", **up) for number in range(monitors))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE schedules_scheduledjob, schedules_monitor")


def _make_together(number: int, every: int) -> float:
    """Jobs that are due at the same second, again and again. Returns the first time, in seconds since 1970."""
    from monitoring.schedules.models import ScheduledJob

    first = int(time.time()) + every
    due = datetime.fromtimestamp(first, UTC)
    ScheduledJob.objects.bulk_create(
        ScheduledJob(
            name=f"together-{at}",
            action="operation",
            operation="check_estate",
            interval=timedelta(seconds=every),
            anchor=due,
            watermark=due - timedelta(seconds=1),
            next_due=due,
            overlap="allow",
        )
        for at in range(number)
    )
    return float(first)


def _fired_after(due: float, number: int) -> float:
    """Seconds from the due time until the last of them waits in the queue. Then they count as done."""
    from monitoring.schedules.models import Run

    client, key = _queue(), django_rq.get_queue("default").key
    wait_for(lambda: int(client.llen(key)) >= number, "all are fired")
    late = time.time() - due
    Run.objects.filter(state="queued").update(state="done")  # else the clock would push them again
    client.flushdb()
    return late


def _require_once_each(number: int, times: int) -> None:
    from monitoring.schedules.models import Run

    runs = Run.objects.filter(scheduled_job__name__startswith="together-")
    assert runs.count() == number * times, f"{runs.count()} runs, {number * times} due times"


def cpu_share(pid: int, over: float) -> float:
    """Of one core, by a process with all its threads."""
    before, begun = processor_seconds(pid), time.monotonic()
    time.sleep(over)
    return (processor_seconds(pid) - before) / (time.monotonic() - begun)


def processor_seconds(pid: int) -> float:
    """What the process has had of the processors so far, with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _clock(stage: Stage) -> _Running:
    return _Running(Child(Command("clock", (*MANAGE, "clock"), environment=dict(os.environ)), stage.folder))


class _Running:
    """A clock that leads, for as long as the block."""

    def __init__(self, child: Child) -> None:
        self._child = child

    def __enter__(self) -> Child:
        from django.db.models.functions import Now

        from opsconsole.models import Lease

        self._child.start()
        wait_for(lambda: Lease.objects.filter(expires_at__gt=Now()).exists(), "the clock leads")
        return self._child

    def __exit__(self, *exc_info: object) -> None:
        self._child.stop()


def _fire_bare(number: int) -> None:
    """One insert of rows like those of runs, and one pipeline of messages."""
    names = [f"bare-{at}" for at in range(number)]
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE bare (LIKE schedules_run INCLUDING DEFAULTS INCLUDING INDEXES)")
        cursor.execute(
            "INSERT INTO bare (id, scheduled_job_id, due_at, count, trigger, requested_by, reason, trace_id, state,"
            " cause, fence, attempt, worker, error, result, settled_by, settled_reason, trouble)"
            " SELECT row_number() OVER (), row_number() OVER (), now(), 1, 'due', '', '', gen_random_uuid(), 'queued',"
            " '', 0, 0, '', '', '', '', '', '' FROM unnest(%s::text[])",
            [names],
        )
        cursor.execute("DROP TABLE bare")
    with _queue().pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.hset(f"bare:{name}", mapping={"data": name, "status": "queued", "origin": "default"})
            pipeline.rpush("bare", name)
        pipeline.execute()
