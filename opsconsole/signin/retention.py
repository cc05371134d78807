"""Sessions that are over."""

from __future__ import annotations

from django.contrib.sessions.models import Session
from django.db.models import Exists, OuterRef

from opsconsole.retention import ROWS_PER_STEP, Bounds, Portion, kind


@kind("sessions", "Sessions that are over")
def remove_sessions(bounds: Bounds, after: int) -> Portion:
    """Django leaves them to be cleared away. What allauth lists of each goes with it."""
    from allauth.usersessions.models import UserSession  # noqa: PLC0415  (when Django has loaded all apps)

    over = Session.objects.filter(expire_date__lt=bounds.before).order_by("expire_date").values("pk")[:ROWS_PER_STEP]
    sessions = Session.objects.filter(pk__in=over).delete()[0]
    there = Session.objects.filter(session_key=OuterRef("session_key"))
    stale = UserSession.objects.filter(~Exists(there)).order_by("pk").values("pk")[:ROWS_PER_STEP]
    listed = UserSession.objects.filter(pk__in=stale).delete()[0]
    left = ROWS_PER_STEP in (sessions, listed)
    return Portion({"sessions": sessions}, after if left else None)
