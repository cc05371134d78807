from sync.models.attempt import Attempt, AttemptOutcome
from sync.models.batch import Batch, BatchOrder, BatchRelation, BatchState, Mode
from sync.models.dead_letter import DeadLetter
from sync.models.drift import Drift, Verification
from sync.models.event import EventLevel, JobEvent
from sync.models.job import Job
from sync.models.plan import Approval, BatchPlan
from sync.models.queries import AffectedRow, QueryRun, RunState, SavedQuery
from sync.models.range import JobRange, RangeState
from sync.models.rate import RateBucket
from sync.models.set_aside import SetAside
from sync.models.staging import SkippedOrganization, SkipReason, StagedOrganization
from sync.models.states import JobKind, JobState, Phase
from sync.models.stopping import Step, StopStep
from sync.models.tally import Tally

__all__ = [
    "AffectedRow",
    "Approval",
    "Attempt",
    "AttemptOutcome",
    "Batch",
    "BatchOrder",
    "BatchPlan",
    "BatchRelation",
    "BatchState",
    "DeadLetter",
    "Drift",
    "EventLevel",
    "Job",
    "JobEvent",
    "JobKind",
    "JobRange",
    "JobState",
    "Mode",
    "Phase",
    "QueryRun",
    "RangeState",
    "RateBucket",
    "RunState",
    "SavedQuery",
    "SetAside",
    "SkipReason",
    "SkippedOrganization",
    "StagedOrganization",
    "Step",
    "StopStep",
    "Tally",
    "Verification",
]
