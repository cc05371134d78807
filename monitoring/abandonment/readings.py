"""What the overview says of tracked tasks, from the console's own rows."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Count
from django.urls import reverse

from monitoring.abandonment.models import ScopeOutage, SourceLook, TaskState, TrackedTask
from monitoring.abandonment.operations.looking import patience_of
from opsconsole import estate
from opsconsole.errors import ConsoleError
from opsconsole.estate.model import TrackedSource
from opsconsole.overview import Reading, overview_signal
from opsconsole.tones import Tone
from opsconsole.words import number, utc

ORDER = 55
MOST_SHOWN = 3


@overview_signal("abandonment.troubled", "Tracked tasks", order=ORDER)
def troubled(now: datetime) -> Reading | None:
    """Three queries, over open alerts, sources and outages. None where the estate tracks nothing."""
    try:
        sources = estate.current().tracked_tasks
    except ConsoleError:
        return None
    if not sources:
        return None
    rows = TrackedTask.objects.exclude(trouble="").order_by().values_list("trouble").annotate(count=Count("pk"))
    counts = dict(rows)
    unknown = unknown_sources(sources, now)
    return reading_of(counts, unknown, _outages())


def unknown_sources(sources: tuple[TrackedSource, ...], now: datetime) -> list[str]:
    """What cannot be seen now, a sentence each. One query."""
    looks = {look.source: look for look in SourceLook.objects.all()}
    said = []
    for source in sources:
        look = looks.get(source.name)
        if look is None or look.looked_at is None:
            said.append(f"{source.label}: not looked at yet{f' ({look.error})' if look and look.error else ''}.")
        elif now - look.looked_at > max(patience_of(source), timedelta(minutes=15)):
            why = f": {look.error}" if look.error else "; look whether the clock runs."
            said.append(f"{source.label}: unknown since {utc(look.looked_at)} UTC{why}")
    return said


def _outages() -> list[str]:
    rows = ScopeOutage.objects.filter(ended_at=None).order_by("found_at")[:MOST_SHOWN]
    return [f"{row.scope or row.source}: {number(row.together)} of {number(row.total)} fail together." for row in rows]


def reading_of(counts: dict[str, int], unknown: list[str], outages: list[str]) -> Reading:
    """Pure."""
    abandoned, idle = counts.get("abandoned", 0), counts.get("idle", 0)
    said = []
    if abandoned or idle:
        said.append(f"{number(abandoned)} abandoned, {number(idle)} idle; their pages say what happens next.")
    elif not unknown and not outages:
        said.append("No task has been failing, or without data, for long.")
    return Reading(
        value=float(abandoned + idle),
        shown=number(abandoned + idle),
        tone=Tone.PROBLEM if outages else Tone.WAITING if abandoned or idle or unknown else Tone.FINE,
        sentence=" ".join([*outages, *said, *unknown]),
        address=reverse("abandonment:tasks"),
        limit="none abandoned",
        limit_value=0.0,
        action="Failing" if outages else "",
        action_address=f"{reverse('abandonment:tasks')}?state={TaskState.FAILING}" if outages else "",
    )
