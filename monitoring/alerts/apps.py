from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "monitoring.alerts"
    verbose_name = "Alerts"

    def ready(self) -> None:
        # They declare permissions, what the clock does, what is asked of health, and the texts that can be previewed.
        from monitoring.alerts import access, daily, duties, examples, health, readings, restoring, retention, silence  # noqa: F401

        examples.register()
        daily.register()
