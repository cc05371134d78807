"""Every change of a job's state, as a guarded method: a conditional UPDATE that says whether it changed something.

A running attempt holds the job by its fence, a number that rises with each claim. A write with an older fence finds no
row and changes nothing, so a worker that was taken for dead and comes back can do no harm.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Now

from sync.models.states import (
    ACTIVE_STATES,
    CLAIMABLE_STATES,
    HELD_STATES,
    ORGANIZATION_KINDS,
    UNSUCCESSFUL_STATES,
    WAITING_STATES,
    JobKind,
    JobState,
    Phase,
)

if TYPE_CHECKING:
    from sync.models.attempt import Attempt
    from sync.models.job import Job
    from sync.operations.workers import WorkerIdentity


class JobQuerySet(models.QuerySet["Job"]):
    def active(self) -> JobQuerySet:
        return self.filter(state__in=ACTIVE_STATES)

    def active_organizations(self, organization_ids: Collection[str]) -> set[str]:
        """Which of these organizations have an active job. One query."""
        active = self.active().filter(kind__in=ORGANIZATION_KINDS, organization_id__in=organization_ids)
        return set(active.values_list("organization_id", flat=True))

    def held(self, fence: int) -> JobQuerySet:
        """The job as long as the attempt with `fence` still holds it."""
        return self.filter(fence=fence, state__in=HELD_STATES)

    def silent_for(self, seconds: float) -> JobQuerySet:
        """Jobs that somebody should be working on, without a heartbeat for so long. By the database's clock alone."""
        return self.filter(state__in=HELD_STATES, heartbeat_at__lt=Now() - timedelta(seconds=seconds))

    def claim(self, job_id: int, worker: WorkerIdentity) -> tuple[Job, Attempt] | None:
        """Take a waiting job: new fence, new attempt. None where it is not to be had; losing is not an error."""
        with transaction.atomic():
            taken = self.filter(
                Q(not_before=None) | Q(not_before__lte=Now()), pk=job_id, state__in=CLAIMABLE_STATES
            ).update(
                state=JobState.RUNNING,
                fence=F("fence") + 1,
                worker=worker.name,
                heartbeat_at=Now(),
                started_at=Coalesce(F("started_at"), Now()),
                waits_for="",
                not_before=None,
            )
            if not taken:
                return None
            job = self.select_related("batch").get(pk=job_id)
            return job, self.begin_attempt(job, worker)

    def untouched(self) -> JobQuerySet:
        """Queued jobs for whole organizations that nobody has begun."""
        return self.filter(
            state=JobState.QUEUED, kind=JobKind.ORGANIZATION, checkpoint=None, phase=Phase.WALK, not_before=None
        )

    def claim_all(self, job_ids: Iterable[int], worker: WorkerIdentity) -> list[Job]:
        """Take those of the jobs that are still to be had: new fences, no attempts yet. Three statements."""
        with transaction.atomic():
            free = self.untouched().filter(pk__in=list(job_ids)).order_by("pk").select_for_update(skip_locked=True)
            taken = list(free.values_list("pk", flat=True))
            self.filter(pk__in=taken).update(
                state=JobState.RUNNING,
                fence=F("fence") + 1,
                worker=worker.name,
                heartbeat_at=Now(),
                started_at=Coalesce(F("started_at"), Now()),
                waits_for="",
            )
        return list(self.filter(pk__in=taken).order_by("pk"))

    def begin_attempt(self, job: Job, worker: WorkerIdentity) -> Attempt:
        """The attempt of a job that was just claimed."""
        return job.attempts.create(
            number=job.fence,
            worker=worker.name,
            host=worker.host,
            pid=worker.pid,
            scanned_before=job.scanned,
        )

    def end(self, job_id: int, fence: int, state: JobState, **fields: object) -> bool:
        """End the job from the attempt that holds it. False: the attempt no longer does."""
        assert state.terminal, state
        return bool(self.filter(pk=job_id).held(fence).update(state=state, ended_at=Now(), heartbeat_at=None, **fields))

    def give_back(self, job_id: int, fence: int, **fields: object) -> bool:
        """Put a held job back in the queue, to go on from its checkpoint. A job being cancelled is not given back."""
        given = self.filter(pk=job_id, fence=fence, state=JobState.RUNNING)
        return bool(given.update(state=JobState.QUEUED, heartbeat_at=None, enqueued_at=Now(), **fields))

    def hold_back(self, job_id: int, fence: int, **fields: object) -> bool:
        """Put a pausing job aside until its batch is resumed."""
        pausing = self.filter(pk=job_id, fence=fence, state=JobState.PAUSING)
        return bool(pausing.update(state=JobState.PLANNED, heartbeat_at=None, **fields))

    def retry_later(self, job_id: int, fence: int, delay: timedelta, **fields: object) -> bool:
        held = self.filter(pk=job_id, fence=fence, state=JobState.RUNNING)
        return bool(held.update(state=JobState.RETRYING, heartbeat_at=None, not_before=Now() + delay, **fields))

    def outdate(self, by: int) -> int:
        """Raise the fences of jobs that no attempt holds: what an attempt of before still writes finds no row. Returns
        how many the database changed."""
        return self.filter(state__in=WAITING_STATES).update(fence=F("fence") + by)

    def cancel_waiting(self) -> int:
        """Cancel what no worker holds, at once. Returns how many the database changed."""
        return self.filter(state__in=WAITING_STATES).update(state=JobState.CANCELLED, ended_at=Now(), not_before=None)

    def ask_to_cancel(self) -> int:
        """Ask the workers that hold these jobs to stop at the next chunk. Returns how many were asked."""
        running = self.filter(state__in=(JobState.RUNNING, JobState.PAUSING))
        return running.update(state=JobState.CANCELLING, cancel_requested_at=Now())

    def hold_back_waiting(self) -> int:
        """Take jobs that wait in the queue out of it. RQ's message stays and will find nothing to claim."""
        return self.filter(state__in=CLAIMABLE_STATES).update(state=JobState.PLANNED, not_before=None)

    def ask_to_pause(self) -> int:
        """Ask the workers that hold these jobs to put them aside at the next chunk. Returns how many were asked."""
        return self.filter(state=JobState.RUNNING).update(state=JobState.PAUSING)

    def go_on(self) -> int:
        """Take back what `ask_to_pause` asked. A worker that has seen it already puts its job in the queue again."""
        return self.filter(state=JobState.PAUSING).update(state=JobState.RUNNING)

    def release(self) -> int:
        """Put jobs that were held back into the queue. Returns how many the database changed."""
        return self.filter(state=JobState.PLANNED).update(state=JobState.QUEUED, enqueued_at=Now())

    def plan_again(self) -> int:
        """Hold back what ended without success, to go on from its checkpoint when its batch releases it."""
        return self.filter(state__in=UNSUCCESSFUL_STATES).update(
            state=JobState.PLANNED,
            ended_at=None,
            not_before=None,
            cancel_requested_at=None,
            error="",
            error_type="",
            error_fingerprint="",
            failures=0,
            stalled_attempts=0,
        )

    def requeue(self, *, states: tuple[JobState, ...]) -> int:
        """Queue again what waits or has ended in one of `states`; counters and checkpoint stay."""
        return self.filter(state__in=states).update(
            state=JobState.QUEUED,
            not_before=None,
            ended_at=None,
            cancel_requested_at=None,
            enqueued_at=Now(),
            error="",
            error_type="",
            error_fingerprint="",
        )
