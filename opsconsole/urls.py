"""Every address of the console. Each part brings its own."""

from django.contrib import admin
from django.urls import include, path

from opsconsole import preferences, views
from opsconsole.api import pages as token_pages
from opsconsole.api import site as api
from opsconsole.auditing import pages as audit_pages
from opsconsole.guide import help_page
from opsconsole.lately import lately_page
from opsconsole.metrics_page import metrics_page
from opsconsole.search import search_page
from opsconsole.trace_page import trace_page

handler400 = "opsconsole.views.bad_request"

urlpatterns = [
    path("", views.home, name="home"),
    path("", include("opsconsole.signin.urls")),
    path("admin/login/", views.admin_login),
    path("admin/", admin.site.urls),
    path("styleguide/", views.styleguide_page, name="styleguide"),
    path("healthz", views.healthz, name="healthz"),
    path("livez", views.livez, name="livez"),
    path("help/", help_page, name="help_guide"),
    path("help/<slug:name>/", help_page, name="help"),
    path("account/preferences/", preferences.preferences, name="preferences"),
    path("account/filters/save/", preferences.save, name="filter_save"),
    path("account/filters/<int:number>/remove/", preferences.remove, name="filter_remove"),
    path("search/", search_page, name="search"),
    path("lately/", lately_page, name="lately"),
    path("trace/", trace_page, name="trace"),
    path("metrics", metrics_page, name="metrics"),
    path("audit/", audit_pages.audit_list, name="audit"),
    path("audit/csv/", audit_pages.audit_csv, name="audit_csv"),
    path("audit/<int:number>/", audit_pages.audit_entry, name="audit_entry"),
    path("tokens/", token_pages.token_list, name="tokens"),
    path("tokens/new/", token_pages.new_token, name="token_new"),
    path("tokens/<int:number>/revoke/", token_pages.revoke_token, name="token_revoke"),
    path("api/v1/", include(api.addresses())),
    path("sync/", include("sync.urls")),
    path("pipeline/", include("monitoring.pipeline.urls")),
    path("ping/", include("monitoring.schedules.ping_urls")),
    path("schedules/", include("monitoring.schedules.urls")),
    path("alerts/", include("monitoring.alerts.urls")),
    path("tracked-tasks/", include("monitoring.abandonment.urls")),
    path("records/", include("monitoring.records.urls")),
]
