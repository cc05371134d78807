"""The permissions of scheduled jobs and monitors, each bound to the lowest role that has it."""

from opsconsole.access import Role, permission

VIEW = permission("schedules.view_schedules", Role.VIEWER)
RUN = permission("schedules.run_scheduled", Role.OPERATOR, elevated=True)
CHANGE = permission("schedules.change_schedules", Role.ADMINISTRATOR, elevated=True)
