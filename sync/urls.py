"""The addresses of sync. What changes something is a POST to an address of its own, or to its confirmation page."""

from django.urls import path

from sync.views import affected, affected_runs, batches, drift, jobs, staged

app_name = "sync"
urlpatterns = [
    path("affected/", affected.query_page, name="affected"),
    path("affected/run/", affected.run_query, name="affected_start"),
    path("affected/save/", affected.save_query, name="affected_save"),
    path("affected/saved/<int:number>/run/", affected.run_saved, name="affected_saved_run"),
    path("affected/saved/<int:number>/delete/", affected.delete_query, name="affected_saved_delete"),
    path("affected/runs/", affected.run_list, name="affected_runs"),
    path("affected/runs/<int:number>/", affected_runs.run_page, name="affected_run"),
    path("affected/runs/<int:number>/live/", affected_runs.run_live, name="affected_live"),
    path("affected/runs/<int:number>/again/", affected.run_again, name="affected_again"),
    path("affected/runs/<int:number>/cancel/", affected_runs.cancel_run, name="affected_cancel"),
    path("affected/runs/<int:number>/stage/", affected_runs.stage, name="affected_stage"),
    path("affected/runs/<int:number>/estimate/", affected_runs.estimate, name="affected_estimate"),
    path("affected/runs/<int:number>/organizations.csv", affected_runs.rows_csv, name="affected_csv"),
    path("affected/runs/<int:number>/ids.txt", affected_runs.ids_text, name="affected_ids"),
    path("affected/runs/<int:number>/why/<path:organization>/", affected_runs.why, name="affected_why"),
    path("jobs/", jobs.job_list, name="jobs"),
    path("jobs/<int:number>/", jobs.job_page, name="job"),
    path("jobs/<int:number>/live/", jobs.job_live, name="job_live"),
    path("jobs/<int:number>/events.txt", jobs.events_text, name="job_events"),
    path("jobs/<int:number>/drift/", drift.drift_list, name="job_drift"),
    path("jobs/<int:number>/cancel/", jobs.cancel_job, name="job_cancel"),
    path("jobs/<int:number>/retry/", jobs.retry_job, name="job_retry"),
    path("staged/", staged.staged_list, name="staged"),
    path("staged/add/", staged.stage, name="stage"),
    path("staged/remove/", staged.unstage, name="unstage"),
    path("staged/clear/", staged.clear, name="staged_clear"),
    path("batches/", batches.batch_list, name="batches"),
    path("batches/new/", batches.new_batch, name="batch_new"),
    path("batches/<int:number>/", batches.batch_page, name="batch"),
    path("batches/<int:number>/live/", batches.batch_live, name="batch_live"),
    path("batches/<int:number>/cancel/", batches.cancel_batch, name="batch_cancel"),
]
