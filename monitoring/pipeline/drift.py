"""What the canary's rounds say together: since when, how many, and which window to look at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.db.models import F, Max, Min
from django.urls import reverse

from monitoring.pipeline.models import CanaryRound
from opsconsole.times import Window
from opsconsole.tones import Tone
from opsconsole.words import counted, utc


@dataclass(frozen=True, slots=True)
class Drift:
    """How source and index stand. `since` is the first of the bad rounds in a row; `window` encloses the updates of
    all that differs in them. Both are None where the newest round is fine."""

    newest: CanaryRound | None
    tone: Tone
    sentence: str
    since: datetime | None = None
    window: Window | None = None


def drift_now(limit: int) -> Drift:
    """Three queries, by the index of rounds."""
    newest = CanaryRound.objects.order_by("-at").first()
    if newest is None:
        return Drift(None, Tone.WAITING, "No sample was compared yet: the clock does it every few minutes.")
    if newest.error:
        return Drift(newest, Tone.PROBLEM, f"The last sample could not be compared: {newest.error}")
    if newest.differing <= limit:
        rest = f", {newest.differing} differ, within the limit of {limit}" if newest.differing else ", none differs"
        return Drift(newest, Tone.FINE, f"{counted(newest.compared, 'task')} compared{rest}.")
    return _bad(newest, limit)


def _bad(newest: CanaryRound, limit: int) -> Drift:
    differing = F("stale") + F("missing") + F("orphan")
    rounds = CanaryRound.objects.annotate(bad=differing).filter(error="")
    good = rounds.filter(bad__lte=limit).order_by("-at").values_list("at", flat=True).first()
    bad = rounds.filter(bad__gt=limit, **({"at__gt": good} if good else {}))
    sums = bad.aggregate(since=Min("at"), start=Min("window_from"), end=Max("window_to"))
    window = Window(sums["start"], sums["end"]) if sums["start"] and sums["end"] else None
    more = "" if newest.whole else "at least "
    where = f"{more}{counted(newest.found, 'task')} of {counted(newest.organizations, 'organization')} found"
    sentence = (
        f"{newest.differing:,} of {counted(newest.compared, 'sampled task')} differ between source and index; {where}."
        " Customers may see completed tasks as active. Find the affected organizations and stage them."
    )
    return Drift(newest, Tone.PROBLEM, sentence, sums["since"], window)


def query_values(window: Window) -> dict[str, str]:
    """What the query for affected organizations is asked, as its form has it."""
    return {"window": "", "from": utc(window.start), "to": utc(window.end)}


def affected_address(window: Window) -> str:
    """The query for affected organizations, filled in."""
    return f"{reverse('sync:affected')}?{urlencode(query_values(window))}"
