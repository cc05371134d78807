"""Every address of the console. Each part brings its own."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

from opsconsole import views

urlpatterns = [
    path("", views.home, name="home"),
    path("login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("admin/login/", views.admin_login),
    path("admin/", admin.site.urls),
    path("styleguide/", views.styleguide_page, name="styleguide"),
    path("healthz", views.healthz, name="healthz"),
    path("livez", views.livez, name="livez"),
    path("sync/", include("sync.urls")),
    path("pipeline/", include("monitoring.pipeline.urls")),
    path("ping/", include("monitoring.schedules.ping_urls")),
    path("schedules/", include("monitoring.schedules.urls")),
    path("records/", include("monitoring.records.urls")),
]
