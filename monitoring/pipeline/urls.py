"""The addresses of queues, workers, consumer and canary. What changes something is a POST to its confirmation page."""

from django.urls import path

from monitoring.pipeline.views import canary, lag, limits, overview, queues, workers

app_name = "pipeline"

urlpatterns = [
    path("overview/", overview.overview, name="overview"),
    path("overview/live/", overview.overview_live, name="overview_live"),
    path("lag/", lag.lag_page, name="lag"),
    path("lag/live/", lag.lag_live, name="lag_live"),
    path("canary/", canary.canary_page, name="canary"),
    path("queues/", queues.queue_list, name="queues"),
    path("queues/live/", queues.queues_live, name="queues_live"),
    path("queues/<slug:queue>/pause/", queues.pause_queue, name="queue_pause"),
    path("queues/<slug:queue>/resume/", queues.resume_queue, name="queue_resume"),
    path("queues/<slug:queue>/restart/", workers.restart_all, name="queue_restart"),
    path("workers/", workers.worker_list, name="workers"),
    path("workers/live/", workers.workers_live, name="workers_live"),
    path("workers/<str:worker>/restart/", workers.restart_worker, name="worker_restart"),
    path("limits/", limits.limits_page, name="limits"),
]
