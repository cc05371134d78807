"""The addresses that jobs elsewhere ping."""

from django.urls import path

from monitoring.schedules.views import ping

app_name = "ping"

urlpatterns = [
    path("<uuid:code>", ping.by_code, name="code"),
    path("<uuid:code>/<str:said>", ping.by_code, name="code_said"),
    path("<slug:key>/<slug:name>", ping.by_name, name="name"),
    path("<slug:key>/<slug:name>/<str:said>", ping.by_name, name="name_said"),
]
