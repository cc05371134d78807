"""Every type of alert, declared once: its name, what it is called, how bad it is, and who is told by default."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from django.db import models

from opsconsole.errors import UsageError
from opsconsole.tones import Tone


class Severity(models.TextChoices):
    INFO = "info", "Notice"
    WARNING = "warning", "Warning"
    CRITICAL = "critical", "Critical"

    @property
    def tone(self) -> Tone:
        return _TONES[self]

    @property
    def rank(self) -> int:
        return _RANKS[self]


_TONES = {Severity.INFO: Tone.ENDED, Severity.WARNING: Tone.WAITING, Severity.CRITICAL: Tone.PROBLEM}
_RANKS = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}


class Audience(Enum):
    """Who is told beside the subscriptions that match. Where nobody is left, operators are told, whatever it says."""

    OWNER = "owner"
    """The subject's owner, at once."""
    OWNER_BY_NOTICE = "owner_by_notice"
    """The owner, by texts and at times of its own (`operations.notices`), not by the alert."""
    OPERATORS = "operators"
    """Operators, always: it concerns the console itself."""


@dataclass(frozen=True, slots=True)
class AlertType:
    """`advice` is what to do, one or two sentences. `gathers`: many at once in a scope are one incident."""

    name: str
    label: str
    severity: Severity
    advice: str
    audience: Audience = Audience.OWNER
    gathers: bool = False

    @property
    def tone(self) -> Tone:
        return self.severity.tone


_ALL = (
    AlertType(
        "abandoned",
        "Abandoned task",
        Severity.WARNING,
        "Ask its owner whether it is still needed: repair it, keep it until a date, or disable it.",
        Audience.OWNER_BY_NOTICE,
        gathers=True,
    ),
    AlertType(
        "idle",
        "Idle task",
        Severity.INFO,
        "Ask its owner whether it is still needed: it is healthy, but moves no data.",
        Audience.OWNER_BY_NOTICE,
        gathers=True,
    ),
    AlertType(
        "auto_disabled",
        "Task disabled",
        Severity.WARNING,
        "Its owner can have it enabled again with one click on its page.",
        Audience.OWNER_BY_NOTICE,
    ),
    AlertType(
        "job_looping",
        "Sync job looping",
        Severity.CRITICAL,
        "The organization is on the skip list: look at the job's attempts, then sync it by windows or take it off.",
        gathers=True,
    ),
    AlertType(
        "batch_failed",
        "Batch failed",
        Severity.WARNING,
        "Look at the errors of its jobs, then retry those that can be retried and skip the others.",
    ),
    AlertType(
        "drift_canary",
        "Drift canary",
        Severity.CRITICAL,
        "Find the affected organizations of the window, stage them and start a batch.",
    ),
    AlertType(
        "consumer_lag",
        "Consumer lag",
        Severity.CRITICAL,
        "Look whether the indexing service runs and commits; what it has not read, customers do not see.",
    ),
    AlertType(
        "queue_limit",
        "Queue over its limit",
        Severity.WARNING,
        "Look at what waits and at the workers; start more workers, or pause what is not urgent.",
    ),
    AlertType(
        "worker_missing",
        "Worker missing or stuck",
        Severity.CRITICAL,
        "Start a worker, or restart the one that is stuck; its job goes on from its checkpoint.",
    ),
    AlertType(
        "stuck_records",
        "Stuck records",
        Severity.WARNING,
        "Open the status guide: it says for each status what the customer sees and what to do.",
    ),
    AlertType(
        "missed_start",
        "Run missed",
        Severity.CRITICAL,
        "Run it now, or ignore it with a reason; look whether clock and workers run.",
        gathers=True,
    ),
    AlertType(
        "missed_end",
        "Run has not ended",
        Severity.CRITICAL,
        "Look at the run's log; its attempts and their waiting times should all be over by now.",
        gathers=True,
    ),
    AlertType(
        "run_too_long",
        "Run takes too long",
        Severity.WARNING,
        "It goes on past its time limit: look at its log.",
        gathers=True,
    ),
    AlertType(
        "run_failed",
        "Run failed",
        Severity.WARNING,
        "Look at the run's log and error, then run it again.",
        gathers=True,
    ),
    AlertType(
        "monitor_down",
        "Monitor down",
        Severity.CRITICAL,
        "Look at the job where it runs; its next success brings the monitor up again.",
        gathers=True,
    ),
    AlertType(
        "clock_silent",
        "Clock silent",
        Severity.CRITICAL,
        "Start a second clock as a standby, and look why none was running.",
        Audience.OPERATORS,
    ),
    AlertType(
        "incident",
        "Incident",
        Severity.CRITICAL,
        "Many of one kind at once have one cause: look for that first. What belongs to it is listed on its page.",
        Audience.OPERATORS,
    ),
    AlertType(
        "delivery_failing",
        "Delivery failing",
        Severity.CRITICAL,
        "Look at the channel or address and at its last error, then send a test and retry what was given up.",
        Audience.OPERATORS,
    ),
)

TYPES = {one.name: one for one in _ALL}
KINDS = [(one.name, one.label) for one in _ALL]
"""Choices for fields and forms."""


def type_of(kind: str) -> AlertType:
    """Raises UsageError for a type that there is not."""
    try:
        return TYPES[kind]
    except KeyError:
        raise UsageError(f"There is no alert type {kind!r}; allowed are {', '.join(TYPES)}.") from None
