from django.apps import AppConfig


class RecordsConfig(AppConfig):
    name = "monitoring.records"
    verbose_name = "Record statuses"

    def ready(self) -> None:
        from monitoring.records import access, duties, readings, retention  # noqa: F401  (they register themselves)
