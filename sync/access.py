"""The permissions of sync, each bound to the lowest role that has it."""

from opsconsole.access import Role, permission

VIEW = permission("sync.view_job", Role.VIEWER)
STAGE = permission("sync.stage_organizations", Role.OPERATOR)
SKIP = permission("sync.skip_organizations", Role.OPERATOR)
RUN = permission("sync.run_checks", Role.OPERATOR, elevated=True)
CANCEL = permission("sync.cancel_job", Role.OPERATOR, elevated=True)
DELETE = permission("sync.delete_job", Role.ADMINISTRATOR, elevated=True)
QUERY = permission("sync.run_queries", Role.VIEWER)  # it only reads, under the source's statement timeout
SHARE = permission("sync.share_queries", Role.OPERATOR)
