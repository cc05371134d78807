"""The addresses of sync. What changes something is a POST to an address of its own, or to its confirmation page."""

from django.urls import path

from sync.views import batches, drift, jobs, staged

app_name = "sync"
urlpatterns = [
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
