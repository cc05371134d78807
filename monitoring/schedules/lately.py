"""Whether everything ran that was due in the last hours."""

from __future__ import annotations

from datetime import datetime

from django.urls import reverse

from monitoring.schedules.access import VIEW
from monitoring.schedules.daily import Day, of_day
from monitoring.schedules.models import TO_BE_SETTLED, Monitor, Run
from monitoring.schedules.pings import Stored
from opsconsole.lately import MOST_LOOKED_AT, MOST_MENTIONED, Account, Mention, tells
from opsconsole.tones import Tone

ORDER = 20
CAUSE_LENGTH = 160


@tells("Scheduled runs", VIEW, order=ORDER)
def runs(since: datetime, until: datetime) -> Account | None:
    """The daily word's own words, and each run that was not well. Six queries. None without jobs and monitors."""
    day = of_day(since, until)
    if not (day.jobs or day.monitors or day.not_fired):
        return None
    newest = Run.objects.filter(state__in=TO_BE_SETTLED).select_related("scheduled_job").order_by("-pk")
    not_well = [run for run in newest[:MOST_LOOKED_AT] if since <= run.due_at < until]
    unsettled = [run for run in not_well if run.settled_at is None]
    settled = [run for run in not_well if run.settled_at is not None]
    mentions = [*_not_fired(day), *_down(day), *map(_mention, unsettled), *map(_mention, settled)]
    return Account(_tone(day, unsettled), day.sentence(), reverse("schedules:jobs"), mentions[:MOST_MENTIONED])


def _tone(day: Day, unsettled: list[Run]) -> Tone:
    if unsettled or day.not_fired or day.down:
        return Tone.PROBLEM
    return Tone.FINE if day.all_well else Tone.ENDED


def _mention(run: Run) -> Mention:
    why = (run.error or run.cause)[:CAUSE_LENGTH]
    text = ", ".join(filter(None, (f"{run.scheduled_job.name}: {run.status.label.lower()}", why)))
    address = reverse("schedules:run", args=[run.pk])
    if run.settled_at is None:
        return Mention(text, address, run.status.tone, run.due_at)
    settled = f"settled by {run.settled_by}: {run.settled_reason[:CAUSE_LENGTH]}"
    return Mention(f"{text} ({settled})", address, Tone.ENDED, run.due_at)


def _not_fired(day: Day) -> list[Mention]:
    return [
        Mention(f"{name}: due, and not started", reverse("schedules:job", args=[name]), Tone.PROBLEM)
        for name in day.not_fired[:MOST_MENTIONED]
    ]


def _down(day: Day) -> list[Mention]:
    """One query, where a monitor is down."""
    if not day.down:
        return []
    down = Monitor.objects.filter(stored=Stored.DOWN.value).order_by("name")[:MOST_MENTIONED]
    return [
        Mention(
            f"{monitor.name}: down, now",
            reverse("schedules:monitor", args=[monitor.pk]),
            Tone.PROBLEM,
            monitor.trouble_since,
        )
        for monitor in down
    ]
