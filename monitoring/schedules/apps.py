from django.apps import AppConfig


class SchedulesConfig(AppConfig):
    name = "monitoring.schedules"
    verbose_name = "Scheduled jobs"

    def ready(self) -> None:
        # They declare permissions, operations, system checks, what the clock does, and the overview's signals.
        from monitoring.schedules import access, builtin, carrier, checks, duties, readings, restoring, retention  # noqa: F401
