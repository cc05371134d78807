"""What a tracked task and a disabling can be, each with its label and its tone."""

from __future__ import annotations

from django.db import models

from opsconsole.tones import Tone


class TaskState(models.TextChoices):
    """Where a task stands, as the evaluator last said; `GONE`: its system has it no more."""

    HEALTHY = "healthy", "Healthy"
    FAILING = "failing", "Failing"
    IDLE = "idle", "Idle"
    WARNED = "warned", "Owner warned"
    DISABLED = "disabled", "Disabled"
    WITHOUT_SHARDS = "without_shards", "Without shards"
    GONE = "gone", "Gone"

    @property
    def tone(self) -> Tone:
        return _TASK_TONES[self]


_TASK_TONES = {
    TaskState.HEALTHY: Tone.FINE,
    TaskState.FAILING: Tone.PROBLEM,
    TaskState.IDLE: Tone.WAITING,
    TaskState.WARNED: Tone.PROBLEM,
    TaskState.DISABLED: Tone.ENDED,
    TaskState.WITHOUT_SHARDS: Tone.ENDED,
    TaskState.GONE: Tone.ENDED,
}


class DisablingState(models.TextChoices):
    """`ASKED`: it is to be done, or was done and is not seen yet. `UNDOING`: the task is to be enabled again."""

    ASKED = "asked", "Being disabled"
    DONE = "done", "Disabled"
    UNDOING = "undoing", "Being enabled again"
    UNDONE = "undone", "Enabled again"
    DROPPED = "dropped", "Not needed any more"

    @property
    def tone(self) -> Tone:
        return _DISABLING_TONES[self]


_DISABLING_TONES = {
    DisablingState.ASKED: Tone.WORKING,
    DisablingState.DONE: Tone.ENDED,
    DisablingState.UNDOING: Tone.WORKING,
    DisablingState.UNDONE: Tone.FINE,
    DisablingState.DROPPED: Tone.ENDED,
}

IN_FORCE = (DisablingState.ASKED, DisablingState.DONE, DisablingState.UNDOING)
UNDER_WAY = (DisablingState.ASKED, DisablingState.UNDOING)
