"""Runs that somebody asks for: of one job, or of it and what follows, in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from monitoring.schedules.models import Run, RunState, ScheduledJob, Trigger
from monitoring.schedules.operations.firing import start_by, write_runs
from opsconsole import audit, trace
from opsconsole.errors import UsageError

LONGEST_KEY = 100


def find_job(name: str) -> ScheduledJob:
    """Raises UsageError where there is none of this name."""
    job = ScheduledJob.objects.filter(name=name).first()
    if job is None:
        raise UsageError(f"There is no scheduled job {name[:80]!r}; 'scheduled_jobs list' names them.")
    return job


def in_order(name: str, after: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """The jobs that wait for `name`, over however many others, each behind all that it waits for. Pure.

    `after` has what each job waits for, and no circle.
    """
    following = {name}
    while more := {one for one, before in after.items() if one not in following and following & set(before)}:
        following |= more
    order = TopologicalSorter({one: following & set(after.get(one, ())) for one in sorted(following)}).static_order()
    return tuple(one for one in order if one != name)


def following_of(job: ScheduledJob) -> list[ScheduledJob]:
    """What follows the job, in the order in which it runs; disabled jobs left out. One query."""
    others = {one.name: one for one in ScheduledJob.objects.filter(enabled=True)}
    return [others[name] for name in in_order(job.name, {one.name: one.after for one in others.values()})]


@dataclass(frozen=True, slots=True)
class Asked:
    """The runs that were asked for together, the first one first; `new`: they were begun now, and not by an earlier
    request with the same key."""

    runs: list[Run]
    new: bool

    @property
    def first(self) -> Run:
        return self.runs[0]


def run_now(
    job: ScheduledJob,
    actor: audit.Actor,
    *,
    trigger: Trigger = Trigger.MANUAL,
    following: bool = False,
    reason: str = "",
    key: str = "",
) -> Asked:
    """A run of the job, due now, and with `following` one of each job that follows, in order. Audited.

    The same `key` for the same job again gives the runs of the first time. Raises UsageError for a key too long.
    """
    if len(key) > LONGEST_KEY:
        raise UsageError(f"The idempotency key has {len(key)} characters; allowed are {LONGEST_KEY}.")
    if key and (known := _of_key(job, key)):
        return Asked(known, new=False)
    jobs = [job, *(following_of(job) if following else [])]
    due_at, trace_id = timezone.now(), trace.current_or_new()
    with transaction.atomic():
        write_runs(
            [
                Run(
                    scheduled_job=one,
                    due_at=due_at,
                    start_by=start_by(one, due_at, due_at) if one is job else None,
                    trigger=trigger if one is job else Trigger.CHAIN,
                    requested_by=actor.name,
                    reason=reason,
                    state=RunState.QUEUED,
                    trace_id=trace_id,
                    idempotency_key=_key_of(one, key) if key else None,
                )
                for one in jobs
            ]
        )
        made = _of_trace(trace_id)
        if not made:  # asked for twice at once: the other request's runs are the runs
            return Asked(_of_key(job, key), new=False)
        audit.record(
            actor,
            "scheduled_job.run",
            f"scheduled_job:{job.name}",
            reason=reason,
            trace_id=trace_id,
            runs={run.scheduled_job.name: run.pk for run in made},
        )
    return Asked(made, new=True)


def _key_of(job: ScheduledJob, key: str) -> str:
    return f"{key}:{job.name}"


def _of_key(job: ScheduledJob, key: str) -> list[Run]:
    first = Run.objects.filter(idempotency_key=_key_of(job, key)).first()
    return [] if first is None else _of_trace(first.trace_id)


def _of_trace(trace_id: UUID) -> list[Run]:
    """The runs that were asked for together, the first one first."""
    return list(Run.objects.filter(trace_id=trace_id).select_related("scheduled_job").order_by("pk"))


def sentence_of(asked: Asked) -> str:
    """What was asked for, in words."""
    names = [run.scheduled_job.name for run in asked.runs]
    then = f"; then {', then '.join(names[1:])}" if names[1:] else ""
    return f"{names[0]} {'runs now' if asked.new else 'was asked for before'}, as run {asked.first.pk}{then}."
