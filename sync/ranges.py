"""Walking a large organization in ranges, side by side: one worker leads the job, others lend a hand.

The worker that has claimed the job leads it. It cuts the ranges, invites others through the queue, walks ranges itself
as long as one waits, and alone decides how the job ends, exactly as if it were the only one; often it is. A helper
takes a waiting range, walks it to its end, and takes the next; it never fails, ends or stops the job. So nothing waits
for a second worker, and an invitation may be lost.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack

from django.db import connection, transaction
from django.db.models.functions import Now

from opsconsole import spans, trace
from opsconsole.keys import Key, restore_key
from opsconsole.worker import stop_requested
from sync import ending, queueing, reach
from sync.check import Stretch
from sync.checking import check_of
from sync.control import AttemptStopped, Control, Heartbeat
from sync.engine.walk import Walk
from sync.failures import classify
from sync.interruption import Interrupted, interruptible, listener
from sync.ledger import FenceLostError, Ledger
from sync.models import AttemptOutcome, Job, JobRange, JobState, Phase
from sync.operations.workers import WorkerIdentity, peak_memory
from sync.range_ledger import HelpersLedger, RangeLedger
from sync.reconcile import recover_silent_ranges
from sync.session import Session
from sync.splitting import ensure_ranges
from sync.walking import WayToWalk

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.1
"""How often a leader without a range to walk looks whether its helpers are done."""

MOST_BAD_ENDS = 1
"""Bad ends in a range that do not keep helpers from it. With more, the leader takes it: what kills every worker then
kills the job's own attempts, which are counted, and not one helper after the other."""


class HeldRanges:
    """The ranges that this process has taken and not let go of: the one it walks, and those before it whose last drift
    still waits for the settle time."""

    def __init__(self) -> None:
        self._parts: list[JobRange] = []

    def add(self, part: JobRange) -> None:
        self._parts = [*self._parts, part]  # a new list: the heartbeat's thread may be reading the old one

    def update(self, *, heartbeat_at: Now) -> None:
        for part in self._parts:
            JobRange.objects.held(part.pk, part.fence).update(heartbeat_at=heartbeat_at)

    def leave(self, outcome: AttemptOutcome, error: str = "", *, badly: bool = False) -> None:
        """Let go of all that are not done."""
        for part in self._parts:
            ending.leave_range(part, outcome, error=error, peak_memory=peak_memory(), badly=badly)
        self._parts = []


class RangeWalker:
    """Walks ranges of one job in this process, one after the other. `ledger` and `control` are the worker's own."""

    def __init__(
        self,
        job: Job,
        session: Session,
        ledger: Ledger,
        control: Control,
        way: WayToWalk,
        listen: Callable[[], None] | None = None,
    ) -> None:
        self._job = job
        self._listen = listen
        self._names = session.names
        self._ledger = ledger
        self._way = way
        self._walk: Walk | None = None
        self._check = check_of(job, session, ledger, control, self._prepared, way.second_look)
        self.held = HeldRanges()

    def walk(self, take: Callable[[], JobRange | None]) -> None:
        """Walk what can be taken, each range from its checkpoint to its end. Raises AttemptStopped, FenceLostError."""
        with Heartbeat(self.held, self._listen):
            self._check.walk(self._stretches(take), self._job.expected or 0)

    def _prepared(self, organization: Key, expected: int) -> Walk:
        """All ranges are walked with the same preparation, and pace."""
        self._walk = self._walk or self._way(organization, expected)
        return self._walk

    def _stretches(self, take: Callable[[], JobRange | None]) -> Generator[Stretch]:
        """Runs in the walk's thread, whose connection it ends: nothing else there needs one."""
        try:
            while part := take():
                self.held.add(part)
                yield Stretch(RangeLedger(self._ledger, part), self._key(part.begin), self._key(part.upper))
        finally:
            connection.close()

    def _key(self, text: str | None) -> Key | None:
        return None if text is None else restore_key(self._names.task_key, text)


class Leader:
    """The attempt that holds the job, for as long as its ranges are walked. `control` and `ledger` are the job's."""

    def __init__(self, job: Job, session: Session, ledger: Ledger, control: Control, way: WayToWalk) -> None:
        self._job = job
        self._session = session
        self._ledger = ledger
        self._control = control
        self._way = way

    def walk_in_ranges(self, expected: int) -> bool:
        """Whether the organization, of about so many tasks, is split; then all of it is walked on return. Raises
        AttemptStopped and FenceLostError."""
        ranges = ensure_ranges(self._job, self._ledger, self._session, expected)
        if not ranges:
            return False
        self._job.expected = expected
        invitations = [f"{self._job.fence}-{number}" for number in range(1, ranges)]
        queueing.invite(self._job.pk, invitations)
        try:
            self._walk_all()
        except AttemptStopped:
            self._await_helpers()
            raise
        finally:
            queueing.withdraw(self._job.pk, invitations)
        return True

    def _walk_all(self) -> None:
        walker = RangeWalker(self._job, self._session, self._ledger, self._control, self._way)
        try:
            while self._job.ranges.unfinished().exists():
                if self._job.ranges.waiting().exists():
                    walker.walk(self._take)
                else:
                    recover_silent_ranges(self._job)
                    self._control.wait(POLL_SECONDS)
        finally:
            walker.held.leave(AttemptOutcome.HIBERNATED)

    def _take(self) -> JobRange | None:
        with self._ledger.held() as job:
            return JobRange.objects.take(job, job.worker)

    def _await_helpers(self) -> None:
        """A job that was to end or to pause has done so only when nobody walks it any more."""
        asked = Job.objects.filter(pk=self._job.pk, state__in=(JobState.CANCELLING, JobState.PAUSING))
        while not stop_requested() and self._job.ranges.running().exists() and asked.held(self._job.fence).exists():
            recover_silent_ranges(self._job)
            time.sleep(POLL_SECONDS)


class Helper:
    """A worker that lends a hand with the ranges of a job which another one leads."""

    def __init__(self, job_id: int, session: Session, worker: WorkerIdentity) -> None:
        self._job_id = job_id
        self._session = session
        self._worker = worker

    def run(self) -> bool:
        """Walk ranges while one waits. False where this process should not go on. Raises what a range's walk raised,
        after it was recorded."""
        job = Job.objects.select_related("batch").filter(pk=self._job_id).first()
        if job is None:
            return False
        ledger = HelpersLedger(job.pk, job.fence)
        control = Control(ledger, memory_limit=self._session.settings.check.memory_limit)
        span = spans.span("help", {"opsconsole.job": job.pk}, harmless=(AttemptStopped,))
        with trace.under(job.trace_id), span, ExitStack() as stack:
            way = WayToWalk(job, self._session, stack, logger.debug)
            listen = listener(job.pk, self._worker)
            return self._walk(RangeWalker(job, self._session, ledger, control, way, listen))

    def _take(self) -> JobRange | None:
        with transaction.atomic():
            running = Job.objects.filter(pk=self._job_id, state=JobState.RUNNING, phase=Phase.WALK)
            job = running.select_for_update().first()
            part = JobRange.objects.take(job, self._worker.name, most_bad_ends=MOST_BAD_ENDS) if job else None
            if job is None or part is None:
                return None
            job.attempts.create(
                number=part.fence,
                range_number=part.number,
                worker=self._worker.name,
                host=self._worker.host,
                pid=self._worker.pid,
                scanned_before=part.scanned,
            )
            return part

    def _walk(self, walker: RangeWalker) -> bool:
        try:
            with interruptible():
                walker.walk(self._take)
        except Interrupted:
            walker.held.leave(AttemptOutcome.CANCELLED, "Its process was interrupted in the middle of its work.")
            reach.cancel_own_statements(self._worker)
            return False
        except AttemptStopped as stopped:
            walker.held.leave(stopped.outcome, stopped.reason)
            if not Job.objects.filter(pk=self._job_id, state=JobState.RUNNING).exists():
                return True  # the job was stopped, or lost its leader: this process is fit for more
            queueing.invite(self._job_id, [f"again-{secrets.token_hex(4)}"])
            return False
        except FenceLostError as error:
            logger.warning("%s", error)
            walker.held.leave(AttemptOutcome.VANISHED, str(error))
            return False
        except Exception as error:
            self._record_failure(walker, error)
            raise
        return True

    def _record_failure(self, walker: RangeWalker, error: Exception) -> None:
        """The failure is the ranges'. Whoever leads the job meets it again where it lasts; then it is the job's."""
        failure = classify(error)
        if not failure.known:
            logger.error("a helper of job %s failed unexpectedly", self._job_id, exc_info=error)
        walker.held.leave(AttemptOutcome.FAILED, failure.sentence, badly=True)
