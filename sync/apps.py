from django.apps import AppConfig


class SyncConfig(AppConfig):
    name = "sync"
    verbose_name = "Sync"

    def ready(self) -> None:
        from opsconsole.worker import work_horse_ended, work_horse_killed, work_horse_signalled
        from sync import access, duties, restoring, retention  # noqa: F401  (they register themselves)
        from sync.operations.batches import close_when_last_job_ended
        from sync.operations.ladder import record_exit, record_signal
        from sync.operations.skiplist import resolve_when_synced
        from sync.recovery import record_killed_horse
        from sync.registries import carriers
        from sync.signals import jobs_ended

        carriers.register(carriers.JOBS)
        jobs_ended.connect(close_when_last_job_ended, dispatch_uid="sync.close_when_last_job_ended")
        jobs_ended.connect(resolve_when_synced, dispatch_uid="sync.resolve_when_synced")
        work_horse_signalled.connect(record_signal, dispatch_uid="sync.record_signal")
        work_horse_ended.connect(record_exit, dispatch_uid="sync.record_exit")
        work_horse_killed.connect(record_killed_horse, dispatch_uid="sync.record_killed_horse")
