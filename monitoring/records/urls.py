"""The addresses of the record statuses."""

from django.urls import path

from monitoring.records.views import breakdown, limits, stuck

app_name = "records"

urlpatterns = [
    path("", breakdown.first, name="sources"),
    path("<slug:name>/", breakdown.show, name="breakdown"),
    path("<slug:name>/by-status.csv", breakdown.counts_csv, name="counts_csv"),
    path("<slug:name>/stuck/", stuck.show, name="stuck"),
    path("<slug:name>/stuck.csv", stuck.records_csv, name="stuck_csv"),
    path("<slug:name>/stuck/stage/", stuck.stage, name="stuck_stage"),
    path("<slug:name>/limits/", limits.change, name="limits"),
    path("<slug:name>/limits/reset/", limits.reset, name="limits_reset"),
]
