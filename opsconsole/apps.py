from django.apps import AppConfig
from django.db.models.signals import post_migrate


class OpsconsoleConfig(AppConfig):
    name = "opsconsole"
    verbose_name = "Console"

    def ready(self) -> None:
        # What is not used here registers itself on import: system checks, the workers' watch, what is kept how long.
        from opsconsole import access, checks, restoring, spans, telemetry  # noqa: F401
        from opsconsole.api import retention as api_retention  # noqa: F401
        from opsconsole.clock import outside, watch  # noqa: F401
        from opsconsole.signin import events, retention  # noqa: F401

        telemetry.start()
        spans.start()
        # The last app to migrate is unknown here, so roles are granted after each: the work is idempotent and small.
        post_migrate.connect(access.grant_roles, dispatch_uid="opsconsole.grant_roles")
