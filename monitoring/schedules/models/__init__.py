from monitoring.schedules.models.monitor import (
    BODY_BYTES,
    BURST,
    STATE_FIELDS,
    STATUS_TONES,
    Looked,
    Monitor,
    Ping,
    PingKey,
)
from monitoring.schedules.models.run import Run, RunEvent
from monitoring.schedules.models.scheduled_job import Origin, ScheduledJob
from monitoring.schedules.models.states import (
    ACTIVE_RUNS,
    CLAIMABLE_RUNS,
    NEVER_RAN,
    NOT_BEGUN,
    SETTLED_BY_PEOPLE,
    STATE_OF_FATE,
    Action,
    Overlap,
    RunState,
    Trigger,
)

__all__ = [
    "ACTIVE_RUNS",
    "BODY_BYTES",
    "BURST",
    "CLAIMABLE_RUNS",
    "NEVER_RAN",
    "NOT_BEGUN",
    "SETTLED_BY_PEOPLE",
    "STATE_FIELDS",
    "STATE_OF_FATE",
    "STATUS_TONES",
    "Action",
    "Looked",
    "Monitor",
    "Origin",
    "Overlap",
    "Ping",
    "PingKey",
    "Run",
    "RunEvent",
    "RunState",
    "ScheduledJob",
    "Trigger",
]
