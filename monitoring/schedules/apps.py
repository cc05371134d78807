from django.apps import AppConfig


class SchedulesConfig(AppConfig):
    name = "monitoring.schedules"
    verbose_name = "Scheduled jobs"

    def ready(self) -> None:
        # They declare permissions, operations, system checks, and what the clock does.
        from monitoring.schedules import access, builtin, carrier, checks, duties  # noqa: F401
