"""Small organizations, several in one go: most of them are small, and most of those are in sync.

A job of its own for each costs a process and a dozen statements to learn that nothing differs. So a worker that has
done its job asks both sides for the digests of a hundred that wait, at once, and claims those that are small. Where
the digests are equal the jobs are done, in one transaction; those that differ are checked one by one in this process.
Killed in between, what was claimed falls silent and is queued again like any other job.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from opsconsole.errors import ConsoleError
from opsconsole.keys import restore_key
from opsconsole.worker import stop_requested
from sync import queueing, recovery
from sync.control import Heartbeat
from sync.models import Attempt, Job
from sync.models.states import HELD_STATES
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
class Group:
    """Waiting jobs by what the digests say: `equal` with their numbers of tasks, and small ones that differ."""

    equal: dict[int, int]
    different: set[int]


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
        self._seen: set[int] = set()

    def run(self) -> None:
        deadline = self._clock() + LONGEST_SECONDS
        while not stop_requested() and self._clock() < deadline:
            waiting = list(Job.objects.untouched().exclude(pk__in=self._seen).order_by("pk")[:GROUP])
            if not waiting:
                return
            self._seen.update(job.pk for job in waiting)  # what is large, or taken by another worker, is left alone
            try:
                group = self._sort(waiting)
            except ConsoleError:
                return  # each job meets the fault alone, with its own retries and its own log
            self._run_group(group)

    def _sort(self, jobs: Sequence[Job]) -> Group:
        packed = self._session.packed
        if not isinstance(packed, PackedPair):
            return Group({}, {job.pk for job in jobs if (job.expected or SMALL_ORGANIZATION) < SMALL_ORGANIZATION})
        kind = self._session.names.organization_key
        keys = {job.pk: restore_key(kind, job.organization_id) for job in jobs}
        source, index = packed.sides()
        mine, theirs = (side.digests(list(keys.values()), SMALL_ORGANIZATION + 1) for side in (source, index))
        small = {pk: key for pk, key in keys.items() if max(mine[key].count, theirs[key].count) <= SMALL_ORGANIZATION}
        equal = {pk: mine[key].count for pk, key in small.items() if mine[key] == theirs[key]}
        return Group(equal, small.keys() - equal.keys())

    def _run_group(self, group: Group) -> None:
        jobs = Job.objects.claim_all([*group.equal, *group.different], self._worker)
        queueing.forget([job.pk for job in jobs])
        held = Job.objects.filter(pk__in=[job.pk for job in jobs], worker=self._worker.name, state__in=HELD_STATES)
        with Heartbeat(held):
            counted = [(job, group.equal[job.pk]) for job in jobs if job.pk in group.equal]
            recovery.finish_in_sync(counted, self._worker, peak_memory())
            for job in jobs:
                if job.pk in group.equal:
                    continue
                if stop_requested():
                    recovery.give_back_all([job])
                else:
                    self._run_claimed(job, Job.objects.begin_attempt(job, self._worker), self._session)
