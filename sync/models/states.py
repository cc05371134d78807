"""The states of a job, declared once: value, label, tone, and which states belong together."""

from __future__ import annotations

from django.db import models

from opsconsole.tones import Tone


class JobKind(models.TextChoices):
    ORGANIZATION = "organization", "Organization"
    WINDOW = "window", "Window of an organization"
    TASKS = "tasks", "Tasks by hand"


ORGANIZATION_KINDS = (JobKind.ORGANIZATION, JobKind.WINDOW)
"""Kinds that work on one organization, of which it has one active at a time."""


class JobState(models.TextChoices):
    PLANNED = "planned", "Held back"
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    RETRYING = "retrying", "Waiting to retry"
    PAUSING = "pausing", "Pausing"
    CANCELLING = "cancelling", "Cancelling"
    CANCELLED = "cancelled", "Cancelled"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    LOOPING = "looping", "Looping"

    @property
    def tone(self) -> Tone:
        return _STATE_TONES[self]

    @property
    def terminal(self) -> bool:
        return self not in ACTIVE_STATES


HELD_STATES = (JobState.RUNNING, JobState.PAUSING, JobState.CANCELLING)
"""A worker's attempt has the job."""

CLAIMABLE_STATES = (JobState.QUEUED, JobState.RETRYING)
WAITING_STATES = (JobState.PLANNED, *CLAIMABLE_STATES)
"""No worker has the job: it can be cancelled at once. A planned one is not in the queue; its batch releases it."""

ACTIVE_STATES = (*WAITING_STATES, *HELD_STATES)

PROBLEM_STATES = (JobState.FAILED, JobState.LOOPING)
UNSUCCESSFUL_STATES = (*PROBLEM_STATES, JobState.CANCELLED)

_STATE_TONES = {
    JobState.PLANNED: Tone.WAITING,
    JobState.PAUSING: Tone.WAITING,
    JobState.QUEUED: Tone.WAITING,
    JobState.RUNNING: Tone.WORKING,
    JobState.RETRYING: Tone.WAITING,
    JobState.CANCELLING: Tone.WAITING,
    JobState.CANCELLED: Tone.ENDED,
    JobState.DONE: Tone.FINE,
    JobState.FAILED: Tone.PROBLEM,
    JobState.LOOPING: Tone.PROBLEM,
}


class Phase(models.TextChoices):
    WALK = "walk", "Comparing"
    VERIFY = "verify", "Verifying"
