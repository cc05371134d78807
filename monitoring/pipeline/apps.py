from django.apps import AppConfig


class PipelineConfig(AppConfig):
    name = "monitoring.pipeline"
    verbose_name = "Queues, workers, consumer"

    def ready(self) -> None:
        # access declares permissions; duties, health and readings register themselves; beats listens to the workers.
        from monitoring.pipeline import access, beats, duties, health, readings  # noqa: F401
