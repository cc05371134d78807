from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "monitoring.alerts"
    verbose_name = "Alerts"

    def ready(self) -> None:
        # They declare permissions, and the texts that can be previewed.
        from monitoring.alerts import access, examples  # noqa: F401

        examples.register()
