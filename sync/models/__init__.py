from sync.models.batch import Batch, BatchOrder, BatchRelation, BatchState, Mode
from sync.models.drift import Drift, Verification
from sync.models.job import Attempt, AttemptOutcome, EventLevel, Job, JobEvent, JobKind, JobState, Phase
from sync.models.plan import BatchPlan
from sync.models.queries import AffectedRow, QueryRun, RunState, SavedQuery
from sync.models.staging import SkippedOrganization, SkipReason, StagedOrganization

__all__ = [
    "AffectedRow",
    "Attempt",
    "AttemptOutcome",
    "Batch",
    "BatchOrder",
    "BatchPlan",
    "BatchRelation",
    "BatchState",
    "Drift",
    "EventLevel",
    "Job",
    "JobEvent",
    "JobKind",
    "JobState",
    "Mode",
    "Phase",
    "QueryRun",
    "RunState",
    "SavedQuery",
    "SkipReason",
    "SkippedOrganization",
    "StagedOrganization",
    "Verification",
]
