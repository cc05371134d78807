from sync.models.attempt import Attempt, AttemptOutcome
from sync.models.batch import Batch, BatchOrder, BatchRelation, BatchState, Mode
from sync.models.drift import Drift, Verification
from sync.models.event import EventLevel, JobEvent
from sync.models.job import Job
from sync.models.plan import BatchPlan
from sync.models.queries import AffectedRow, QueryRun, RunState, SavedQuery
from sync.models.staging import SkippedOrganization, SkipReason, StagedOrganization
from sync.models.states import JobKind, JobState, Phase

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
