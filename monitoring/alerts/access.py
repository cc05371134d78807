"""The permissions of alerts, each bound to the lowest role that has it."""

from opsconsole.access import Role, permission

VIEW = permission("alerts.view_alerts", Role.VIEWER)
HANDLE = permission("alerts.handle_alerts", Role.OPERATOR)
CHANGE = permission("alerts.change_channels", Role.ADMINISTRATOR, elevated=True)
