"""Small organizations, several in one go: most of them are small, and most of those are in sync.

A job of its own for each costs a process and a dozen statements to learn that nothing differs. So a worker that has
done its job claims a group of those that wait and asks both sides for all their digests at once. Organizations with
equal digests are done, in one transaction; those that differ are checked one by one in this process; large ones go
back to the queue. Killed in between, the group's jobs fall silent and are queued again like any other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from opsconsole.errors import ConsoleError
from opsconsole.keys import Key, restore_key
from opsconsole.worker import stop_requested
from sync import queueing, recovery
from sync.control import Heartbeat
from sync.models import Attempt, Job
from sync.models.job import HELD_STATES
from sync.operations.workers import WorkerIdentity, peak_memory
from sync.packing import PackedPair
from sync.session import Session
from sync.walking import SMALL_ORGANIZATION

GROUP = 100
LONGEST_SECONDS = 20.0
"""After so long the worker goes back to its queue: to other queues' work, and to a fresh process."""

RunClaimed = Callable[[Job, Attempt, Session], None]
"""Runs a job that is held, and records its failure, too, without raising it."""


@dataclass(frozen=True, slots=True)
class Sorted:
    """A group by what the digests say: `equal` with the number of tasks, what differs, and what is not small."""

    equal: list[tuple[Job, int]]
    different: list[Job]
    large: list[Job]


class Sweep:
    """Runs the small jobs that wait, until none is left, a stop is asked for or the time is over."""

    def __init__(
        self,
        session: Session,
        worker: WorkerIdentity,
        run_claimed: RunClaimed,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session
        self._worker = worker
        self._run_claimed = run_claimed
        self._clock = clock
        self._large: set[int] = set()

    def run(self) -> None:
        deadline = self._clock() + LONGEST_SECONDS
        while not stop_requested() and self._clock() < deadline:
            jobs = Job.objects.claim_waiting(self._worker, GROUP, but=self._large)
            if not jobs:
                return
            self._run_group(jobs)

    def _run_group(self, jobs: list[Job]) -> None:
        held = Job.objects.filter(pk__in=[job.pk for job in jobs], worker=self._worker.name, state__in=HELD_STATES)
        with Heartbeat(held):
            try:
                group = self._sort(jobs)
            except ConsoleError:
                # Neither side's fault is judged here: each job meets it alone, with its own retries and its own log.
                group = Sorted([], [], jobs)
            self._large.update(job.pk for job in group.large)
            recovery.give_back_all(group.large)
            recovery.finish_in_sync(group.equal, self._worker, peak_memory())
            for job in group.different:
                if stop_requested():
                    recovery.give_back_all([job])
                else:
                    self._run_claimed(job, Job.objects.begin_attempt(job, self._worker), self._session)
        queueing.forget([job.pk for job in jobs if job.pk not in self._large])

    def _sort(self, jobs: Sequence[Job]) -> Sorted:
        packed = self._session.packed
        if not isinstance(packed, PackedPair):
            return Sorted([], list(jobs), [])
        kind = self._session.names.organization_key
        keys: dict[Key, Job] = {restore_key(kind, job.organization_id): job for job in jobs}
        source, index = packed.sides()
        mine, theirs = (side.digests(list(keys), SMALL_ORGANIZATION + 1) for side in (source, index))
        group = Sorted([], [], [])
        for key, job in keys.items():
            if max(mine[key].count, theirs[key].count) > SMALL_ORGANIZATION:
                group.large.append(job)
            elif mine[key] == theirs[key]:
                group.equal.append((job, mine[key].count))
            else:
                group.different.append(job)
        return group
