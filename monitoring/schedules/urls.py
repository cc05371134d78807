"""The addresses of scheduled jobs, runs and monitors."""

from django.urls import path

from monitoring.schedules.views import acts, edit, jobs, missed, monitors, runs

app_name = "schedules"

urlpatterns = [
    path("", jobs.job_list, name="jobs"),
    path("add/", edit.add, name="add"),
    path("jobs/<slug:name>/", jobs.job_page, name="job"),
    path("jobs/<slug:name>/runs.csv", jobs.runs_csv, name="runs_csv"),
    path("jobs/<slug:name>/run/", acts.run_job, name="run_now"),
    path("jobs/<slug:name>/enable/", acts.switch_job, {"on": True}, name="enable"),
    path("jobs/<slug:name>/disable/", acts.switch_job, {"on": False}, name="disable"),
    path("jobs/<slug:name>/edit/", edit.edit, name="edit"),
    path("runs/<int:number>/", runs.run_page, name="run"),
    path("runs/<int:number>/live/", runs.run_live, name="run_live"),
    path("monitors/", monitors.monitor_list, name="monitors"),
    path("monitors/add/", monitors.add, name="monitor_add"),
    path("monitors/<int:number>/", monitors.monitor_page, name="monitor"),
    path("monitors/<int:number>/edit/", monitors.edit, name="monitor_edit"),
    path("monitors/<int:number>/pause/", monitors.pause, name="monitor_pause"),
    path("monitors/<int:number>/resume/", monitors.resume, name="monitor_resume"),
    path("keys/", monitors.keys, name="keys"),
    path("missed/", missed.missed_list, name="missed"),
    path("dead/", missed.dead_list, name="dead"),
    path("missed/<int:number>/run/", missed.run_again, name="missed_run"),
    path("missed/<int:number>/ignore/", missed.ignore, name="missed_ignore"),
]
