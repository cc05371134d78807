"""The rows of tracked tasks."""

from monitoring.abandonment.models.disabling import Disabling
from monitoring.abandonment.models.policy import RULE_FIELDS, Policy
from monitoring.abandonment.models.source import LookGap, ScopeOutage, SourceLook
from monitoring.abandonment.models.states import IN_FORCE, UNDER_WAY, DisablingState, TaskState
from monitoring.abandonment.models.task import FailingSpell, TrackedTask

__all__ = [
    "IN_FORCE",
    "RULE_FIELDS",
    "UNDER_WAY",
    "Disabling",
    "DisablingState",
    "FailingSpell",
    "LookGap",
    "Policy",
    "ScopeOutage",
    "SourceLook",
    "TaskState",
    "TrackedTask",
]
