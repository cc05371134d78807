"""The permissions of queues, workers, consumer and canary, each bound to the lowest role that has it."""

from opsconsole.access import Role, permission

VIEW = permission("pipeline.view_pipeline", Role.VIEWER)
PAUSE = permission("pipeline.pause_queue", Role.OPERATOR)
RESTART = permission("pipeline.restart_worker", Role.OPERATOR)
CHANGE_LIMITS = permission("pipeline.change_pipeline_limits", Role.ADMINISTRATOR, elevated=True)
