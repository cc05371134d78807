"""Signing in by the identity provider: the way there, and the way back."""

from allauth.socialaccount import views
from allauth.socialaccount.providers.openid_connect import views as provider
from django.urls import path

from opsconsole.access import public

STRANGER = "who signs in is not signed in yet"

urlpatterns = [
    path("<str:provider_id>/login/", public(STRANGER)(provider.login), name="openid_connect_login"),
    path("<str:provider_id>/login/callback/", public(STRANGER)(provider.callback), name="openid_connect_callback"),
    path("cancelled/", public(STRANGER)(views.login_cancelled), name="socialaccount_login_cancelled"),
    path("error/", public(STRANGER)(views.login_error), name="socialaccount_login_error"),
]
