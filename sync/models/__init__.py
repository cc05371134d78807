from sync.models.batch import Batch, BatchState, Mode
from sync.models.drift import Drift, Verification
from sync.models.job import Attempt, AttemptOutcome, EventLevel, Job, JobEvent, JobKind, JobState, Phase
from sync.models.staging import SkippedOrganization, SkipReason, StagedOrganization

__all__ = [
    "Attempt",
    "AttemptOutcome",
    "Batch",
    "BatchState",
    "Drift",
    "EventLevel",
    "Job",
    "JobEvent",
    "JobKind",
    "JobState",
    "Mode",
    "Phase",
    "SkipReason",
    "SkippedOrganization",
    "StagedOrganization",
    "Verification",
]
