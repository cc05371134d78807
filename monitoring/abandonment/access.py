"""The permissions of tracked tasks, each bound to the lowest role that has it."""

from opsconsole.access import Role, permission

VIEW = permission("abandonment.view_tasks", Role.VIEWER)
KEEP = permission("abandonment.keep_tasks", Role.OPERATOR)
WARN = permission("abandonment.warn_owners", Role.OPERATOR)
DISABLE = permission("abandonment.disable_tasks", Role.OPERATOR, elevated=True)
CHANGE_POLICIES = permission("abandonment.change_policies", Role.ADMINISTRATOR, elevated=True)
REPORT = permission("abandonment.report_tasks", Role.OPERATOR)
