"""The states of a run, declared once: value, label, tone, and which belong together."""

from __future__ import annotations

from django.db import models

from monitoring.schedules.catchup import Fate
from opsconsole.estate import model as estate
from opsconsole.tones import Tone


class RunState(models.TextChoices):
    WAITING = "waiting", "Waiting for another"
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    RETRYING = "retrying", "Waiting to retry"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    MISSED = "missed", "Missed"
    COALESCED = "coalesced", "Covered by a later run"
    SKIPPED = "skipped", "Skipped"
    UNKNOWN = "unknown", "Unknown"

    @property
    def tone(self) -> Tone:
        return _TONES[self]

    @property
    def terminal(self) -> bool:
        return self not in ACTIVE_RUNS


_TONES = {
    RunState.WAITING: Tone.WAITING,
    RunState.QUEUED: Tone.WAITING,
    RunState.RUNNING: Tone.WORKING,
    RunState.RETRYING: Tone.WAITING,
    RunState.DONE: Tone.FINE,
    RunState.FAILED: Tone.PROBLEM,
    RunState.MISSED: Tone.PROBLEM,
    RunState.COALESCED: Tone.ENDED,
    RunState.SKIPPED: Tone.ENDED,
    RunState.UNKNOWN: Tone.WAITING,
}

CLAIMABLE_RUNS = (RunState.QUEUED, RunState.RETRYING)
NOT_BEGUN = (RunState.WAITING, RunState.QUEUED)
ACTIVE_RUNS = (RunState.WAITING, *CLAIMABLE_RUNS, RunState.RUNNING)
SETTLED_BY_PEOPLE = (RunState.MISSED, RunState.UNKNOWN)
"""Somebody has to say what becomes of these: run now, or ignored."""
TO_BE_SETTLED = (*SETTLED_BY_PEOPLE, RunState.FAILED)
"""What people run again or ignore: the missed runs, and the dead letters."""

NEVER_RAN = (RunState.MISSED, RunState.COALESCED, RunState.SKIPPED)


class Trigger(models.TextChoices):
    """Why there is a run."""

    DUE = "due", "Due"
    RECOVERY = "recovery", "Recovery"
    MANUAL = "manual", "By hand"
    API = "api", "API"
    CHAIN = "chain", "After another"


class Overlap(models.TextChoices):
    """What a run that is due does while the one before it is still under way."""

    SKIP = estate.Overlap.SKIP.value, "Skip it"
    QUEUE = estate.Overlap.QUEUE.value, "Wait for it"
    ALLOW = estate.Overlap.ALLOW.value, "Run beside it"


class Action(models.TextChoices):
    OPERATION = "operation", "One of the console's operations"
    HTTP = "http", "An HTTP call"


STATE_OF_FATE = {
    Fate.FIRED: RunState.QUEUED,
    Fate.RECOVERED: RunState.QUEUED,
    Fate.COALESCED: RunState.COALESCED,
    Fate.SKIPPED: RunState.SKIPPED,
    Fate.MISSED: RunState.MISSED,
    Fate.TOO_OLD: RunState.MISSED,
}
