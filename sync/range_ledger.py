"""What a worker writes down while it walks ranges of a job."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction
from django.db.models.functions import Now

from sync import ending
from sync.ledger import ChunkResult, FenceLostError, Ledger
from sync.models import AttemptOutcome, Job, JobRange, RangeState
from sync.operations.workers import peak_memory


class HelpersLedger(Ledger):
    """The job as a worker that helps sees it: it does not hold the job, and gives no sign of life for who does."""

    @contextmanager
    def held(self) -> Iterator[Job]:
        with transaction.atomic():
            job = Job.objects.select_for_update().filter(pk=self.job_id).first()
            if job is None:
                raise FenceLostError(f"job {self.job_id} is gone")
            yield job

    def beat(self, job: Job) -> None:
        """Its leader's heart is not ours."""


class RangeLedger(Ledger):
    """Guarded by the range's fence as well as by what `of_job` asks for, and with the range's checkpoint in place of
    the job's.

    The job's counters are kept in the same transaction, so nothing is ever added up. A helper may write down the chunk
    it has published although the job was taken from its leader: the state that comes back then tells it to stop. Its
    progress does not hide that attempts at the job die.
    """

    def __init__(self, of_job: Ledger, part: JobRange) -> None:
        super().__init__(of_job.job_id, of_job.fence)
        self._of_job = of_job
        self._part = part
        self.leads = not isinstance(of_job, HelpersLedger)

    @contextmanager
    def held(self) -> Iterator[Job]:
        with self._of_job.held() as job:
            part = JobRange.objects.held(self._part.pk, self._part.fence).select_for_update().first()
            if part is None:
                raise FenceLostError(f"range {self._part.number} of job {self.job_id} is no longer held")
            self._part = part
            yield job

    def _advance(self, job: Job, chunk: ChunkResult) -> None:
        part = self._part
        part.scanned += chunk.scanned
        part.drift += len(chunk.findings)
        part.published += chunk.published
        if chunk.upto is None:
            part.state = RangeState.DONE
        else:
            part.checkpoint = chunk.upto
        part.heartbeat_at = Now()
        part.save(update_fields=["scanned", "drift", "published", "state", "checkpoint", "heartbeat_at"])
        if self.leads:
            job.stalled_attempts = 0
        if part.status is RangeState.DONE:
            self._done()

    def _done(self) -> None:
        """The leader's attempt goes on; a helper has one for each range."""
        self.note(f"Range {self._part.number} walked to its end by {self._part.worker}.")
        if not self.leads:
            ending.leave_range(self._part, AttemptOutcome.DONE, peak_memory=peak_memory())

    def beat(self, job: Job) -> None:
        self._of_job.beat(job)
