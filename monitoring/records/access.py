"""The permissions of the record statuses, each bound to the lowest role that has it."""

from opsconsole.access import Role, permission

VIEW = permission("records.view_records", Role.VIEWER)  # it only reads, under the record source's statement timeout
CHANGE_LIMITS = permission("records.change_limits", Role.ADMINISTRATOR, elevated=True)
