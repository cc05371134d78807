"""What the overview says of scheduled runs and of monitors. Counted by partial indexes, up to a thousand."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.urls import reverse

from monitoring.schedules.models import Monitor, ScheduledJob
from monitoring.schedules.pings import Stored
from monitoring.schedules.views.common import dead_letters, missed_runs
from opsconsole.clock.asking import Questions
from opsconsole.overview import Reading, overview_signal
from opsconsole.tones import Tone

MOST_COUNTED = 1_000
MOST_NAMED = 3
RECENT = timedelta(days=1)


@overview_signal("runs", "Scheduled runs", order=50)
def runs(now: datetime) -> Reading | None:
    """What was missed and nobody has settled, and what was given up within a day. None without scheduled jobs.

    Three queries at most; one where nothing was.
    """
    there = RUNS_THERE(now)
    missed = _missed() if "missed" in there else []
    failed = _failed(now) if "dead" in there else []
    total = len(missed) + len(failed)
    if not total and "jobs" not in there:
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


RUNS_THERE = Questions(
    missed=lambda now: missed_runs(),
    dead=lambda now: dead_letters(),
    jobs=lambda now: ScheduledJob.objects.filter(enabled=True),
)


def _missed() -> list[str]:
    return list(missed_runs().order_by("-pk").values_list("scheduled_job__name", flat=True)[:MOST_COUNTED])


def _failed(now: datetime) -> list[str]:
    dead = dead_letters().order_by("-pk").values_list("scheduled_job__name", "ended_at")[:MOST_COUNTED]
    return [name for name, ended in dead if ended is not None and ended >= now - RECENT]


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
    """Jobs elsewhere that are silent, or failed. None without monitors. Two queries at most; one where none is down."""
    there = MONITORS_THERE(now)
    if not there:
        return None
    down = _down() if "down" in there else Monitor.objects.none()
    names = list(down.order_by("-trouble_since", "-pk").values_list("name", flat=True)[:MOST_COUNTED])
    return Reading(
        value=len(names),
        shown=f"{len(names):,}{'+' if len(names) == MOST_COUNTED else ''} down",
        tone=Tone.PROBLEM if names else Tone.FINE,
        sentence=f"Down: {_named(names)}. Look at the jobs where they run." if names else "No monitor is down.",
        address=reverse("schedules:monitors"),
        limit="0 down",
    )


def _down() -> QuerySet[Monitor]:
    return Monitor.objects.filter(stored=Stored.DOWN.value)


MONITORS_THERE = Questions(down=lambda now: _down(), any=lambda now: Monitor.objects.all())
