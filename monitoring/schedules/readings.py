"""What the overview says of scheduled runs and of monitors. Counted by partial indexes, up to a thousand."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.urls import reverse

from monitoring.schedules.models import Monitor, ScheduledJob
from monitoring.schedules.pings import Stored
from monitoring.schedules.views.common import dead_letters, missed_runs
from opsconsole.overview import Reading, overview_signal
from opsconsole.tones import Tone

MOST_COUNTED = 1_000
MOST_NAMED = 3
RECENT = timedelta(days=1)


@overview_signal("runs", "Scheduled runs", order=50)
def runs(now: datetime) -> Reading | None:
    """What was missed and nobody has settled, and what was given up within a day. None without scheduled jobs."""
    missed = list(missed_runs().order_by("-pk").values_list("scheduled_job__name", flat=True)[:MOST_COUNTED])
    dead = dead_letters().order_by("-pk").values_list("scheduled_job__name", "ended_at")[:MOST_COUNTED]
    failed = [name for name, ended in dead if ended is not None and ended >= now - RECENT]
    total = len(missed) + len(failed)
    if not total and not ScheduledJob.objects.filter(enabled=True).exists():
        return None
    capped = "+" if MOST_COUNTED in (len(missed), len(failed)) else ""
    return Reading(
        value=total,
        shown=f"{total:,}{capped}",
        tone=Tone.PROBLEM if total else Tone.FINE,
        sentence=_sentence(missed, failed) if total else "Every due time ran, or is settled.",
        address=reverse("schedules:missed" if missed or not failed else "schedules:dead"),
        limit="0 missed, 0 failed",
    )


def _sentence(missed: list[str], failed: list[str]) -> str:
    parts = [("missed", missed), ("failed within a day", failed)]
    said = [f"{len(names):,} {what} ({_named(names)})" for what, names in parts if names]
    return f"{' and '.join(said)}: run them again, or ignore them with a reason."


def _named(names: list[str]) -> str:
    several = list(dict.fromkeys(names))
    more = " …" if len(several) > MOST_NAMED else ""
    return f"{', '.join(several[:MOST_NAMED])}{more}"


@overview_signal("monitors", "Monitors", order=55)
def monitors(now: datetime) -> Reading | None:
    """Jobs elsewhere that are silent, or failed. None without monitors."""
    down = Monitor.objects.filter(stored=Stored.DOWN.value).order_by("-trouble_since", "-pk")
    names = list(down.values_list("name", flat=True)[:MOST_COUNTED])
    if not names and not Monitor.objects.exists():
        return None
    return Reading(
        value=len(names),
        shown=f"{len(names):,}{'+' if len(names) == MOST_COUNTED else ''} down",
        tone=Tone.PROBLEM if names else Tone.FINE,
        sentence=f"Down: {_named(names)}. Look at the jobs where they run." if names else "No monitor is down.",
        address=reverse("schedules:monitors"),
        limit="0 down",
    )
