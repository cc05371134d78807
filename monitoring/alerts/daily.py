"""The daily word to operators: queued once a day, and watched, so that its absence is noticed outside."""

from __future__ import annotations

import logging
from datetime import datetime, time, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from monitoring.alerts.models import Notification, NotificationState
from monitoring.alerts.operations.notices import queue_notice
from monitoring.alerts.operations.telling import operators
from monitoring.alerts.texts import register_text
from monitoring.schedules.daily import DAY, TEXT, Day, JobDay, last_due, of_day
from opsconsole.clock.duties import duty
from opsconsole.health import health_check

logger = logging.getLogger(__name__)

LOOK_SECONDS = 30.0
PATIENCE = timedelta(hours=1)
"""How long after its time it may be under way before its absence counts."""


def due_before(now: datetime) -> datetime | None:
    """When it was due last; None where there is no time for it, or no mail server."""
    at: time | None = settings.DAILY_WORD_AT
    without_server = settings.EMAIL_BACKEND.endswith("smtp.EmailBackend") and not settings.EMAIL_HOST
    return None if at is None or without_server else last_due(at, settings.DAILY_WORD_ZONE, now)


def key_of(due: datetime) -> str:
    return f"daily-word:{due:%Y-%m-%d}:"


def say_daily_word(now: datetime) -> int:
    """Queue today's, where it is due and not queued yet. Returns how many mails. One query on all other looks."""
    due = due_before(now)
    if due is None or Notification.objects.filter(key__startswith=key_of(due)).exists():
        return 0
    people = operators()
    with transaction.atomic():
        context = of_day(due - DAY, due).context() if people else {}
        for address in people:
            queue_notice(key=f"{key_of(due)}{address.lower()}", template=TEXT, context=context, to=address, now=now)
    return len(people)


@duty("alerts.say_daily_word", every=LOOK_SECONDS)
def say_daily_word_now() -> int:
    return say_daily_word(timezone.now())


@health_check("daily_word")
def was_said(now: datetime) -> bool:
    """Whether the last one reached somebody within an hour of its time. Two queries at most."""
    due = due_before(now)
    if due is None:
        return True
    if now < due + PATIENCE:
        due -= DAY
        if not Notification.objects.filter(key__startswith=key_of(due)).exists():
            return True  # the console is younger than that
    of_today = Notification.objects.filter(key__startswith=key_of(due))
    return of_today.filter(state=NotificationState.DELIVERED).exists() or not operators()


def register() -> None:
    """Its text, with an example of a good day and of a bad one."""
    until = datetime(2026, 3, 1, 7, 0, tzinfo=timezone.get_default_timezone())
    good = (JobDay("hourly-check", done=24), JobDay("nightly-sync", done=1))
    bad = (JobDay("hourly-check", done=22, failed=2), JobDay("nightly-sync", missed=1))
    for part, jobs, down in (("all-ran", good, ()), ("not-all", bad, ("backup",))):
        day = Day(until - DAY, until, jobs, (), (), 3, down)
        register_text(TEXT, f"Daily word: {part.replace('-', ' ')}", day.context(), part=part)
