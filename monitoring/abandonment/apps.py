from django.apps import AppConfig


class AbandonmentConfig(AppConfig):
    name = "monitoring.abandonment"
    verbose_name = "Tracked tasks"

    def ready(self) -> None:
        from monitoring.abandonment import access, duties, readings, restoring, retention, texts  # noqa: F401  (they register themselves)
