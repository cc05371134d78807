"""Small organizations, several in one go: most of them are small, and most of those are in sync.

A job of its own for each costs a process and a dozen statements to learn that nothing differs. So a worker that has
done its job asks both sides for the digests of a hundred that wait, at once. Small ones with equal digests are claimed
and done in one transaction; small ones that differ are claimed and checked one by one in this process, with the
connections it has. Killed in between, what was claimed falls silent and is queued again like any other job.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from opsconsole.errors import ConsoleError
from opsconsole.keys import restore_key
from opsconsole.worker import stop_requested
from sync import ending, queueing
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
        while not stop_requested() and self._clock() < deadline and not queueing.is_paused("default"):
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
        self._finish_equal(group.equal)
        for job_id in sorted(group.different):
            if stop_requested() or queueing.is_paused("default"):
                return
            # One at a time: what differs takes a while, and another worker may be free for the next.
            if claimed := Job.objects.claim(job_id, self._worker):
                queueing.forget([job_id])
                self._run_claimed(*claimed, self._session)

    def _finish_equal(self, equal: dict[int, int]) -> None:
        jobs = Job.objects.claim_all(equal, self._worker)
        held = Job.objects.filter(pk__in=[job.pk for job in jobs], worker=self._worker.name, state__in=HELD_STATES)
        with Heartbeat(held):
            queueing.forget([job.pk for job in jobs])
            ending.finish_in_sync([(job, equal[job.pk]) for job in jobs], self._worker, peak_memory())
