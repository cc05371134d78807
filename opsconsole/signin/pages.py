"""Where one is signed in, and signing out there."""

from __future__ import annotations

from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from opsconsole import audit
from opsconsole.access import Scoping, requires
from opsconsole.models import USE_CONSOLE

MOST_SHOWN = 100


@require_safe
@requires(USE_CONSOLE, scoping=Scoping.APART)
def sessions(request: HttpRequest) -> HttpResponse:
    """The newest hundred that still are; what has run out is forgotten on the way, two queries for each."""
    rows = UserSession.objects.filter(user_id=request.user.pk).order_by("-created_at")[:MOST_SHOWN]
    return render(request, "signin/sessions.html", {"sessions": [row for row in rows if not row.purge()]})


@require_POST
@requires(USE_CONSOLE, scoping=Scoping.APART)
def end_session(request: HttpRequest, number: int) -> HttpResponseRedirect:
    with transaction.atomic():
        row = get_object_or_404(UserSession, pk=number, user_id=request.user.pk)
        audit.record(audit.actor_of(request), "person.session_ended", f"user:{request.user.pk}", session=row.pk)
        row.end()
    messages.success(request, "Signed out there.")
    return redirect("sessions")
